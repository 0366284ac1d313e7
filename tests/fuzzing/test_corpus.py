"""The corpus of the fuzzer, and a moment of dull random bytes: every target answers in its own
words. The long, guided search is `make fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing.__main__ import CORPUS, NAMES
from tests.fuzzing.targets import TARGETS
from tests.ways_out.corpus import texts

INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
PIECES = st.sampled_from([
    b'{"', b'":', b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\r", b"\0", b"\xff", b"\\ud83d",
    b"userId", b"sequence", b"entities", b"access_token", b"expires_in", b"topicName", b"user",
    b"state", b"id,name", b"write", b"[[sinks]]", b"=", b"1e999", b"-1", b"9" * 40, b"null",
])  # fmt: skip


@pytest.fixture(autouse=True)
def _of_no_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [each for each in os.environ if each.startswith(("PRESENCE_", "GENESYS"))]:
        monkeypatch.delenv(name)


def test_every_target_has_a_small_corpus() -> None:
    assert set(TARGETS) == set(NAMES) == {path.parent.name for path in INPUTS}
    assert sum(path.stat().st_size for path in INPUTS) < 200_000


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_fuzzer_begins_with_is_answered(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_hostile_texts_are_answered(name: str) -> None:
    for text in texts():
        TARGETS[name](text.encode())
        TARGETS[name](f'{{"id":"{text}","user":"{text}"}}'.encode())


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=20).map(b"".join)))
def test_random_bytes_are_answered(name: str, data: bytes) -> None:
    TARGETS[name](data)
