"""Counters: named words and a note that outlive their child."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.counters import NOTE_BYTES_MAX, NOTE_COUNT_SLOT, NOTE_SLOTS, WORDS_MAX, Counters
from runtime.errors import LocalError


def test_every_page_begins_with_the_standard_words() -> None:
    counters = Counters.create("page", ("frames", "bytes"))
    assert list(counters.snapshot()) == [*Counters.STANDARD, "frames", "bytes"]
    assert set(counters.snapshot().values()) == {0}


def test_words_are_set_added_to_and_read() -> None:
    counters = Counters.create("page", ("frames",))
    counters.set("frames", -5)
    counters.add("frames")
    counters.add("frames", 10)
    assert counters.get("frames") == 6
    assert counters.snapshot()["frames"] == 6


def test_a_word_that_the_page_does_not_have_is_a_mistake() -> None:
    counters = Counters.create("page")
    with pytest.raises(KeyError):
        counters.set("frames", 1)


def test_a_writer_in_c_finds_a_word_by_its_slot() -> None:
    counters = Counters.create("page", ("frames",))
    counters.view[counters.slot("frames")] = 7
    assert counters.get("frames") == 7


def test_a_name_stands_once_and_a_page_has_its_limit() -> None:
    with pytest.raises(AssertionError, match="duplicate word"):
        Counters.create("page", ("phase",))
    with pytest.raises(AssertionError, match="256 words"):
        Counters.create("page", tuple(f"word_{i}" for i in range(WORDS_MAX - 4)))


def test_a_full_page_does_not_touch_the_note() -> None:
    words = tuple(f"word_{i}" for i in range(WORDS_MAX - len(Counters.STANDARD)))
    counters = Counters.create("page", words)
    counters.note = "kept"
    for word in counters.words:
        counters.set(word, -1)
    assert counters.note == "kept"


def test_the_page_of_a_killed_child_is_still_read() -> None:
    counters = Counters.create("page", ("frames",))
    source = """if True:
        import os, pickle, signal, sys
        counters = pickle.loads(bytes.fromhex(sys.argv[1]))
        counters.set("frames", 12345)
        counters.note = "the last words"
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", source, pickle.dumps(counters).hex()]
    done = subprocess.run(command, pass_fds=counters.fds, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert counters.get("frames") == 12345
    assert counters.note == "the last words"


@given(st.lists(st.text(max_size=250), min_size=1, max_size=4))
def test_a_note_is_what_was_written_last(notes: list[str]) -> None:
    counters = Counters.create("page")
    assert not counters.note
    for note in notes:
        counters.note = note
        assert counters.note == note


def test_a_note_that_is_too_long_leaves_the_old_one() -> None:
    counters = Counters.create("page")
    counters.note = "ä" * (NOTE_BYTES_MAX // 2)
    with pytest.raises(LocalError, match="at most 1000 bytes, not 1001"):
        counters.note = "x" * 1001
    assert counters.note == "ä" * 500


def test_a_writer_killed_in_the_middle_of_a_note_leaves_the_old_one() -> None:
    counters = Counters.create("page")
    counters.note = "the old one"
    next_slot = NOTE_SLOTS[(counters.view[NOTE_COUNT_SLOT] + 1) & 1]
    counters.view[next_slot] = 999
    counters.view[next_slot + 1] = -1
    assert counters.note == "the old one"


def test_a_note_is_never_read_half_changed() -> None:
    counters = Counters.create("page")
    notes = ["a" * 900, "b" * 300]
    counters.note = notes[0]
    done = threading.Event()

    def write() -> None:
        for i in range(2000):
            counters.note = notes[i % 2]
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert counters.note in notes
    writer.join()
