"""The routes of the API, a file for each noun; each adds its own to an application."""
