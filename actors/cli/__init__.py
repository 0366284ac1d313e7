"""The commands of the command line, each asking files or the running runtime."""
