"""Floors: which package of the product may know which.

Data only; the rules that read it are in `tidiness`.
"""

from __future__ import annotations

# Imports go down only. A row is a floor; the rooms of one floor do not know each other. A room is a
# package with all below it, or a module that lies directly in `actors`.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("runtime",),
    ("actors.messages", "actors.storage"),
    ("actors.genesys",),
    ("actors.settings",),
    ("actors.planner",),  # receivers read the plan
    ("actors.receiver", "actors.shard", "actors.sender"),
    ("actors.web", "actors.sinks"),  # read what shards and sender have written
    ("actors.app",),
    ("actors.cli",),
    ("actors.demo",),
    ("actors.main",),
)
# The front door that the command line needs.
FRONT_DOOR = ("runtime.__main__", "actors.main")

# Of the product, so that a person can hold it in mind: how many rooms, and how many pairs of them
# of which one imports the other.
ROOMS_MAX = 20
ARROWS_MAX = 100

# A file that says of itself that it is pure, as the word `Pure` before a full stop, a colon or a
# semicolon in its first docstring, decides; whoever calls it has the clock, the socket, the file
# and the thread. So does every file of these folders.
PURE_FOLDERS = ("actors/messages/",)
PURE_FILES_MIN = 85
IMPURE = {"asyncio", "os", "select", "socket", "subprocess", "threading", "time"}
