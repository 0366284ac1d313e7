"""Parts: all that the routes speak to, made once by whoever serves them. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from actors.messages.control import Dialect
from actors.web.board import Board
from actors.web.command_reader import CommandReader
from actors.web.command_submission import CommandSubmission
from actors.web.feed_reader import FeedReader
from actors.web.instruments import Instruments
from actors.web.journals import Journals
from actors.web.metrics import Metrics
from actors.web.problems import Problem
from actors.web.read_model import ReadModel
from actors.web.sessions import BrowserSessions
from actors.web.stream_places import StreamPlaces
from runtime.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class WebParts:
    """Of one web child."""

    submission: CommandSubmission
    command_reader: CommandReader
    sessions: BrowserSessions
    wrong_sign_in: Callable[[Any], Problem]
    """Of a request's scope: what is answered to a token that is none."""
    metrics: Metrics
    instruments: Instruments
    model: ReadModel
    feed: FeedReader
    clock: Clock
    board: Board
    journals: Journals
    places: StreamPlaces
    """Of all streams."""
    reasons: Callable[[], Iterable[str]]
    """Why we are not ready, beside what health says."""
    dialect: Dialect = "wsp"
