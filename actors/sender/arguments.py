"""Owns what the supervisor hands to the sender's process. Knows no actor and no loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actors.genesys.http import GatewayAddress
from actors.genesys.pacer import Neighbour
from actors.genesys.rate_budget import REQUESTS_PER_MINUTE
from actors.settings.sender import SenderSettings
from runtime.block import Block
from runtime.doorbell import Doorbell


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderArguments:
    """Nobody waits for room in these rings: what finds none is dropped, counted and said again.

    Per shard a ring of questions, a ring of answers and a doorbell, in the order of the shards.
    """

    address: GatewayAddress  # cloud: of the first OAuth client
    settings: SenderSettings
    path: Path  # of sender.db
    run: str
    retention_days: float
    orders: Block  # web → sender
    outcomes: Block  # sender → web
    questions: tuple[Block, ...]  # sender → shard
    answers: tuple[Block, ...]  # shard → sender
    doorbell: Doorbell  # its own: rung for orders and answers
    web_doorbell: Doorbell  # rung for outcomes
    shard_doorbells: tuple[Doorbell, ...]  # rung for questions
    dialect: Literal["wsp", "cloud"] = "wsp"
    requests_per_minute: int = REQUESTS_PER_MINUTE  # cloud: of the client; a share is the sender's
    planner: Neighbour | None = None  # cloud: where the planner shows what it uses of the client
    receiver: Neighbour | None = None  # likewise
