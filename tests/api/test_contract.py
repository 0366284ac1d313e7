"""The API is as it says: every operation is asked, and no answer is one that is not described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.contract import Verdict, ask, operations
from tests.api.scene import SEED, Scene, scene

REQUESTS = 1_500


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Verdict]]:
    with scene(tmp_path_factory.mktemp("api")) as running:
        yield running, ask(running, requests=REQUESTS, seed=SEED)


@pytest.mark.timeout(600)
def test_no_answer_is_one_that_is_not_described(asked: tuple[Scene, Verdict]) -> None:
    running, verdict = asked
    assert verdict.errors == []
    assert verdict.breaches == {}, "\n\n".join(verdict.breaches.values())
    assert verdict.requests >= REQUESTS
    assert running.troubles() == []


@pytest.mark.timeout(600)
def test_every_operation_was_asked_and_has_answered_well(asked: tuple[Scene, Verdict]) -> None:
    running, verdict = asked
    for operation in operations(running.base_url):
        statuses = {status for name, status in verdict.answers if name == operation}
        assert verdict.asked(operation) > 0, operation
        assert any(status < 500 for status in statuses), f"{operation}: {statuses}"
    for operation in ("presence", "feed"):
        done = [each for each in verdict.answers if each[0].endswith(f"/{operation}")]
        assert any(status == 202 for _, status in done), f"{operation}: {done}"
