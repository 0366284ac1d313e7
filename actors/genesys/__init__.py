"""How Genesys speaks: credentials and dialects. Knows no actor."""
