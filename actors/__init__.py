"""The domain: how Genesys speaks, what an agent is, where its history is kept."""
