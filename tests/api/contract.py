"""Contract: what the API says of itself, asked by schemathesis, and every breach of it.

Requests are made from the description alone, valid and invalid ones, single and in chains. A breach
is whatever the description does not say: a status, a header, a field, a mistake of ours (5xx), a
valid request refused, an invalid one taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.api.scene import TOKEN, Scene

OPENAPI: Final = "/api/openapi.json"
EXAMPLES_LEAST: Final = 10
EXAMPLES_MOST: Final = 100
REQUESTS_PER_EXAMPLE: Final = 30  # about one of each operation
ROUNDS_MAX: Final = 1_000
_KNOWN_USERS: Final = 5
_HEADERS: Final = {"Authorization": f"Bearer {TOKEN}"}
_REFUSED_BY_A_RULE: Final = {
    # What no description can say: which change an agent may make now, which cursor was given out.
    "include-path": ["/api/agents/{id}/presence", "/api/agents"],
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "401", "403", "404", "409", "422", "429"]
        }
    },
}


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was asked, what came back, and what should not have."""

    requests: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By operation (a chain is one) and status."""
    breaches: dict[tuple[str, str], str] = field(default_factory=dict)
    """By operation and kind; the first of each, in words, with a way to see it again."""
    errors: list[str] = field(default_factory=list)
    """Why something could not be asked at all."""

    @property
    def is_kept(self) -> bool:
        return not self.breaches and not self.errors

    def asked(self, operation: str) -> int:
        return sum(count for (name, _), count in self.answers.items() if name == operation)


def ask(
    scene: Scene,
    *,
    requests: int,
    seed: int,
    tell: Callable[[Verdict], None] = lambda _: None,
) -> Verdict:
    """At least so many requests, in rounds of other seeds; fewer only if something is wrong. The
    first round has what is the same at every seed: each boundary of each parameter."""
    verdict = Verdict()
    for number in range(ROUNDS_MAX):
        left = requests - verdict.requests
        examples = min(max(left // REQUESTS_PER_EXAMPLE, EXAMPLES_LEAST), EXAMPLES_MOST)
        for event in _round(scene, seed + number, examples, is_first=number == 0):
            _note(verdict, event)
            tell(verdict)
        if verdict.requests >= requests or not verdict.is_kept:
            break
    return verdict


def operations(base_url: str) -> set[str]:
    """All that the description has, as `METHOD /path`."""
    schema = schemathesis.openapi.from_url(base_url + OPENAPI, headers=_HEADERS)
    found: Iterator[Any] = schema.get_all_operations()
    return {each.ok().label for each in found}


def _round(
    scene: Scene, seed: int, examples: int, *, is_first: bool
) -> Iterator[events.EngineEvent]:
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": _HEADERS,
            "request-timeout": 20,
            "max-stream-events": 1,  # it comes at once; the next may take a second
            "continue-on-failure": True,
            "phases": {"coverage": {"enabled": is_first}},
            "generation": {"max-examples": examples, "database": "none"},
            "dictionaries": {
                "users": {"values": list(scene.users[:_KNOWN_USERS])},
                "shards": {"values": sorted({frame["shard"] for frame in scene.frames})},
                "keys": {"values": [frame["key"] for frame in scene.frames]},
            },
            "parameters": {
                "path.id": {"dictionary": "users", "probability": 0.5},
                "path.shard": {"dictionary": "shards", "probability": 0.8},
                "path.key": {"dictionary": "keys", "probability": 0.8},
            },
            "operations": [_REFUSED_BY_A_RULE],
        }
    )
    url = scene.base_url + OPENAPI
    schema = schemathesis.openapi.from_url(url, config=config, headers=_HEADERS)
    yield from from_schema(schema).execute()


def _note(verdict: Verdict, event: events.EngineEvent) -> None:
    if isinstance(event, events.NonFatalError | events.FatalError):
        verdict.errors.append(str(getattr(event, "info", None) or event))
    if not isinstance(event, events.ScenarioFinished):
        return
    recorder: Any = event.recorder
    for interaction in recorder.interactions.values():
        verdict.requests += 1
        status = interaction.response.status_code if interaction.response else 0
        verdict.answers[recorder.label, status] += 1
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                told = f"{failure.title}: {failure.message}\n{check.failure_info.code_sample}"
                verdict.breaches.setdefault((recorder.label, check.name), told)
