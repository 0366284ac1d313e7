"""Plan of a demo: what was asked for. Knows nothing of how it is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from actors.genesys.channel_plan import EMPTY, plan
from actors.genesys.cloud import COUNTED, TopicsSetting
from actors.genesys.cloud_rest import USERS_PER_PAGE
from actors.genesys.rate_budget import WINDOW_S, shares
from actors.messages.control import Dialect
from actors.settings.cloud import CloudSettings

Role: TypeAlias = Literal["web", "sender", "shard", "planner", "receiver"]
DemoWatch: TypeAlias = Literal["all", "queues", "groups", "divisions"]
FaultProfile: TypeAlias = Literal["none", "platform", "flaky", "hostile"]

ROSTER_EVERY_S_MIN: Final = 12.0
VARIED_KNOWN_SHARE: Final = 0.97  # where people come and go all the time
VARIED_CHANNELS: Final = 6
TOPICS_MIN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What was asked for."""

    dialect: Dialect = "wsp"
    topics: TopicsSetting = "activity"  # of the cloud dialect
    watch: DemoWatch = "all"  # likewise; everybody is in one of each
    agents: int = 5_000
    rate: float | Literal["max"] = 2_000
    seconds: float = 30.0  # 0: until Ctrl-C
    shards: int = 2
    seed: int = 7
    journal: Literal["full", "off"] = "full"
    tls: bool = False
    faults: FaultProfile = "none"
    token_life_s: float | None = None  # None: the gateway's own choice
    commands_per_s: float = 2.0  # 0: nobody changes a presence
    ack_loss: float = 0.0  # share of updates whose acknowledgement never comes
    kill_role: Role | None = None  # whose processes are killed; None: any
    kill_every_s: float | None = None  # on average; None: nobody is killed
    kill_all_every_s: float | None = None  # on average, the whole runtime; None: never
    kill_until_s: float | None = None  # of the load; None: to its end
    data_dir: Path | None = None  # None: a temporary one
    json_path: Path | None = None

    @property
    def clients(self) -> int:
        """OAuth clients whose channels have room for all agents."""
        if self.dialect == "wsp":
            return 1
        agents = [str(number) for number in range(self.agents)]
        return plan(EMPTY, agents, 1, COUNTED[self.topics], CloudSettings().limits).clients_needed

    @property
    def is_varied(self) -> bool:
        """Whether the gateway answers in all the ways in which the platform may."""
        return self.dialect == "cloud" and self.faults != "none"

    @property
    def known_min(self) -> int:
        """So many agents must be known before a load begins."""
        return math.ceil(self.agents * VARIED_KNOWN_SHARE) if self.is_varied else self.agents

    @property
    def topics_per_channel_max(self) -> int:
        """So few that there are several channels: what happens to one of them must not be what
        happens to all, all the time."""
        usual = CloudSettings().topics_per_channel_max
        if not self.is_varied:
            return usual
        topics = self.agents * COUNTED[self.topics]
        return min(usual, max(TOPICS_MIN, -(-topics // VARIED_CHANNELS)))

    @property
    def roster_every_s(self) -> float:
        """What varies is found by reading the roster: as often as its share of the requests lets
        it, with as much again to spare."""
        if not self.is_varied:
            return CloudSettings().roster_every_s
        pages = -(-self.agents // USERS_PER_PAGE)
        return max(ROSTER_EVERY_S_MIN, 1.5 * pages * WINDOW_S / shares().planner)

    @property
    def is_troubled(self) -> bool:
        """Whether anything is meant to go wrong."""
        kills = (self.kill_every_s, self.kill_all_every_s)
        return self.faults != "none" or any(every_s is not None for every_s in kills)

    @property
    def kill_all_until_s(self) -> float | None:
        """Of the load. Whoever wants children killed as well has them killed behind that."""
        until_s = self.kill_until_s if self.kill_until_s is not None else self.seconds or None
        return until_s if self.kill_every_s is None or until_s is None else until_s / 2
