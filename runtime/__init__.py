"""The mechanism: shared memory, rings, actors on rings, children and their supervisor."""
