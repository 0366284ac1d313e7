"""A scene for the verifier: a ledger as the gateway writes it, and rows as a runtime keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.fake_gateway.cloud.keeper import Held, Keeper, Row
from tools.fake_gateway.cloud.definitions import (
    DEFINITIONS,
    ROUTING_STATUSES,
)
from tools.fake_gateway.cloud.expectation import fact_of
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.findings import KINDS
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.verify import verify

ORIGIN_MS = 1_790_000_000_000
HOUR_US = 3600 * 1_000_000
MEAL = 6


@dataclass
class Scene:
    """A gateway's ledger as it is written, and what a runtime keeps of it, one row after the other:
    one channel, whose socket stands to the end."""

    directory: Path
    agents: int = 4
    now_ms: int = ORIGIN_MS
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.directory / "ledger")
        script = ScriptSettings(seed=7, agents=self.agents, origin_ms=ORIGIN_MS, quiet_every=0)
        self.organisation = CloudOrganisation(script, self.ledger)
        self.users = self.organisation.script.users
        self.ledger.write("variations", names=["tie", "deaf"])
        self.topics()
        self.line("opened", channel=1, socket=1)
        for agent in range(self.agents):
            self.keep(agent, cause="history")

    def line(self, kind: str, **more: Any) -> None:
        head = self.organisation.activity.head
        self.ledger.write(kind, **{"head": head, "at_us": self.now_ms * 1000, **more})

    def topics(self) -> None:
        agents = list(range(self.agents))
        self.line("topics", channel=1, client=0, agents=agents, masks=[1] * len(agents))

    def varied(self, what: str, **more: Any) -> None:
        self.ledger.write("varied", what=what, **more, on_us=self.now_ms * 1000)

    def happens(self, agent: int, presence: int, routing: int) -> int:
        """An event; its time in ms."""
        self.now_ms += 1000
        now_ns = self.now_ms * 1_000_000
        return self.organisation.change(
            agent, now_ns, by="walk", presence=presence, routing=routing
        )

    def keep(
        self,
        agent: int,
        *,
        cause: str = "live",
        at_us: int | None = None,
        told: tuple[int, int] | None = None,
    ) -> Row:
        """How the agent stands, or how it was told."""
        held = self.organisation.activity.held(agent)
        presence, routing = told or (held.presence, held.routing)
        fact = fact_of(presence, routing)
        newest_us = max(held.presence_ms, held.routing_ms) * 1000
        script = self.organisation.script
        queue = script.queues[script.homes[agent]] if cause == "live" else None
        row = Row(
            self.users[agent],
            fact.state,
            newest_us if at_us is None else at_us,
            queue,
            fact.presences[0],
            cause,
        )
        self.rows.append(row)
        return row

    def found(self, **natives: Any) -> set[str]:
        """The kinds of finding, when it has ended. `natives`: what is held of all otherwise."""
        self.ledger.close()
        keeper = Keeper(cast("Any", None), list(self.users))  # the gateway has ended
        keeper.rows = list(self.rows)
        for agent, user in enumerate(self.users):
            held, kept = self.organisation.activity.held(agent), Held()
            kept.presence_us, kept.routing_us = held.presence_ms * 1000, held.routing_ms * 1000
            definition = DEFINITIONS[held.presence]
            kept.presence = definition.event_presence.replace("_", "")
            kept.definition, kept.message = definition.id, held.message
            kept.routing = ROUTING_STATUSES[held.routing]
            kept.away = (held.is_away, held.away_ms * 1000)
            for name, value in natives.items():
                setattr(kept, name, value)
            keeper.held[user] = kept
        count = sum(row.cause != "roster" for row in self.rows)  # what it shows is not received
        keeper.counts["received"] = keeper.counts["applied"] = count
        keeper.counts["late"] = sum(row.cause == "late" for row in self.rows)
        keeper.counts["applied"] -= keeper.counts["late"]
        data = keeper.write(self.directory / "data")
        self.result = verify(self.directory / "ledger", data, to_newest=True)
        return {kind for kind in KINDS if self.result[kind]}
