"""The gateway of the wsp dialect; the parent package holds what both dialects share."""
