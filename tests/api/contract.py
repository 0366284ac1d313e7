"""Contract: what the API says of itself, asked by schemathesis, and every breach of it.

Requests are made from the description alone, valid and invalid ones, single and in chains. A breach
is whatever the description does not say: a status, a header, a field, a mistake of ours (5xx), a
valid request refused, an invalid one taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.api.scene import TOKEN

OPENAPI: Final = "/api/openapi.json"
EXAMPLES_LEAST: Final = 10
EXAMPLES_MOST: Final = 200
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
    base_url: str,
    users: Sequence[str],
    *,
    requests: int,
    seed: int,
    tell: Callable[[Verdict], None] = lambda _: None,
) -> Verdict:
    """At least so many requests, in rounds of other seeds; fewer only if something is wrong."""
    verdict = Verdict()
    per_example = 0.0  # requests, as the round before had them
    for number in range(ROUNDS_MAX):
        left = requests - verdict.requests
        wanted = left / per_example if per_example else EXAMPLES_LEAST
        examples = min(max(int(wanted) + 1, EXAMPLES_LEAST), EXAMPLES_MOST)
        before = verdict.requests
        for event in _round(base_url, users, seed + number, examples):
            _note(verdict, event)
            tell(verdict)
        per_example = (verdict.requests - before) / examples
        if verdict.requests >= requests or not verdict.is_kept or not per_example:
            break
    return verdict


def operations(base_url: str) -> set[str]:
    """All that the description has, as `METHOD /path`."""
    schema = schemathesis.openapi.from_url(base_url + OPENAPI, headers=_HEADERS)
    found: Iterator[Any] = schema.get_all_operations()
    return {each.ok().label for each in found}


def _round(
    base_url: str, users: Sequence[str], seed: int, examples: int
) -> Iterator[events.EngineEvent]:
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": _HEADERS,
            "request-timeout": 20,
            "max-stream-events": 2,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "database": "none"},
            "dictionaries": {"users": {"values": list(users[:_KNOWN_USERS])}},
            "parameters": {"path.id": {"dictionary": "users", "probability": 0.5}},
            "operations": [_REFUSED_BY_A_RULE],
        }
    )
    schema = schemathesis.openapi.from_url(base_url + OPENAPI, config=config, headers=_HEADERS)
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
