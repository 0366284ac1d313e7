"""Tools that ship with the runtime."""
