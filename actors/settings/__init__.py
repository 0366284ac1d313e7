"""What a person may choose: defaults, bounds, and where each value came from."""
