"""The runtime as a whole: its children, the memory between them, their start."""
