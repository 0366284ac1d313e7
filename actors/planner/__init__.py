"""Who is watched, and on which channel: read from the cloud, planned, written for the receivers."""
