"""The cloud dialect of the fake gateway: the public Genesys Cloud platform API (protocol.md §2)."""
