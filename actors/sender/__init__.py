"""From an order to a changed presence, and the certainty that it took."""
