"""A gateway that speaks like Genesys, remembers what it said, and imports nothing of the product."""
