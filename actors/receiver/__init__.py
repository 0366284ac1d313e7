"""From the socket into the rings."""
