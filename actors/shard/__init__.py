"""From the rings into the state and the journal."""
