"""The demo: the bundled gateway and a runtime, under load, verified."""
