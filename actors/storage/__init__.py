"""The data directory and its SQLite files. Knows no table."""
