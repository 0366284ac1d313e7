"""A gateway that speaks like Genesys and remembers what it said. Imports nothing of the product."""
