"""Sinks: every committed transition, handed on to files and to other programs."""
