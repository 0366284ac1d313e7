"""What children say to each other through rings, and its bytes."""
