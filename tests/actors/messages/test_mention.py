"""A person's id is found in whatever spelling a frame has it, and nobody else's."""

from __future__ import annotations

import json
import random
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.mention import CUT_LENGTH_MIN, cut_mentions, mentions, spellings

PERSON = "8b67e4d1-9758-4285-8c45-b49fedff3f99"
OTHER = "8b67e4d1-9758-4285-8c45-b49fedff3f98"
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32")


def escaped(text: str, rng: random.Random) -> str:
    """As JSON may write it: each UTF-16 unit as it is, or as an escape in either case."""
    spelt = []
    for character in text:
        units = character.encode("utf-16-be").hex()
        escapes = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        escapes = rng.choice((escapes, escapes.replace("\\u", "\0").upper().replace("\0", "\\u")))
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        spelt.append(rng.choice((plain, escapes)))
    return "".join(spelt)


@given(st.integers(), st.sampled_from(ENCODINGS), st.booleans(), st.booleans())
def test_a_uuid_is_found_in_either_case_any_escape_and_any_encoding(
    seed: int, encoding: str, hyphens: bool, is_nested: bool
) -> None:
    rng = random.Random(seed)
    for person, is_found in ((PERSON, True), (OTHER, False)):
        text = "".join(rng.choice((each, each.upper())) for each in person)
        text = text if hyphens else text.replace("-", "")
        if encoding == "utf-8":
            text = escaped(text, rng)
        text = f'{{"userId":"{text}","state":"x"}}'
        raw = (json.dumps(text) if is_nested else text).encode(encoding)
        assert bool(mentions(PERSON).search(raw)) == is_found, raw


@given(st.text(min_size=1, max_size=40), st.integers())
def test_any_id_is_found_as_json_and_urls_write_it(person: str, seed: int) -> None:
    rng = random.Random(seed)
    found = mentions(person)
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, person)
        assert found.search(b'{"userId":"' + escaped(text, rng).encode() + b'"}')
        assert found.search(json.dumps({"userId": text}).encode())
        assert found.search(f"/users/{quote(text, safe='')}/x".encode())


@pytest.mark.parametrize("kept", range(CUT_LENGTH_MIN, len(PERSON)))
def test_the_beginning_of_an_id_at_the_end_of_what_was_cut_tells_whose_it_is(kept: int) -> None:
    cut = cut_mentions(PERSON)
    assert cut is not None
    assert cut.search(b'{"userId":"' + PERSON[:kept].upper().encode())
    assert cut.search(PERSON[:kept].encode() + b"\\u00")
    assert cut.search(PERSON[:kept].encode() + b'"}') is None
    assert cut.search(b'{"userId":"' + PERSON[1:].encode()) is None


def test_a_short_id_is_a_word_and_no_beginning_tells_of_it() -> None:
    assert cut_mentions("agent-1") is None
    assert mentions("agent-1").search(b"x agent\\u002D1,")
    assert not mentions("agent-1").search(b"agent-12")
    assert not mentions("agent-1").search(b"AGENT-1")  # no UUID: perhaps somebody else
    assert spellings("agent-1") == ["agent-1"]
    assert spellings(PERSON) == [PERSON, PERSON.upper()]
