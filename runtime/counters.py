"""Counters: one page of named words per child, readable after a crash; knows no word's meaning.

    offset  content
    0       words, signed 64 bits each: STANDARD, then the child's own (at most 255)
    2040    how often the note was written (a word; its lowest bit names the slot of the note)
    2048    note, slot 0: its length (a word), then up to 1,000 bytes of UTF-8
    3072    note, slot 1: likewise

One writer for the whole page: the child that it belongs to, in whatever generation (the supervisor
may fill it before the first one starts). Loads acquire and stores release, so words written one
after the other are seen in that order. The note has two slots, so that a writer killed in the
middle of it leaves the old one.
"""

from __future__ import annotations

import sys
from typing import ClassVar, Final

from runtime.block import Block
from runtime.errors import LocalError
from runtime.words import Words

PAGE_BYTES: Final = 4096
WORDS_MAX: Final = 255
NOTE_COUNT_SLOT: Final = 255
NOTE_SLOTS: Final = (256, 384)  # in words
NOTE_BYTES_MAX: Final = 1000
NOTE_READS_MAX: Final = 100

# Phases, in the order of a life; the word `phase` of every page.
STARTING: Final = 0
LOADED: Final = 1  # ready for what comes from upstream
RUNNING: Final = 2
WAITING: Final = 3  # for a disk or a peer: alive
DRAINING: Final = 4
STOPPED: Final = 5
PHASES: Final = ("starting", "loaded", "running", "waiting", "draining", "stopped")
"""What each is called."""


class Counters:
    """Pickles like its block; the reader and the writer see the same names."""

    __slots__ = ("_slots", "_words", "block", "view", "words")

    STANDARD: ClassVar[tuple[str, ...]] = ("beat_ns", "phase", "pid", "generation", "cpu_ns")
    STARTING: ClassVar[int] = STARTING
    LOADED: ClassVar[int] = LOADED
    RUNNING: ClassVar[int] = RUNNING
    WAITING: ClassVar[int] = WAITING
    DRAINING: ClassVar[int] = DRAINING
    STOPPED: ClassVar[int] = STOPPED

    def __init__(self, block: Block, words: tuple[str, ...]) -> None:
        self.block = block
        self.words = words
        self._slots = {word: slot for slot, word in enumerate(words)}
        assert len(self._slots) == len(words), f"counters {block.name!r}: duplicate word in {words}"
        assert len(words) <= WORDS_MAX, f"counters {block.name!r}: {len(words)} words"
        self._words = Words(block.mapping)
        self.view = block.buffer.cast("q")

    @classmethod
    def create(cls, name: str, words: tuple[str, ...] = ()) -> Counters:
        return cls(Block.create(name, PAGE_BYTES), (*cls.STANDARD, *words))

    @property
    def name(self) -> str:
        return self.block.name

    @property
    def fds(self) -> tuple[int, ...]:
        return self.block.fds

    def slot(self, word: str) -> int:
        """Where the word stands in `view`, for writers in C (through `runtime.words`)."""
        return self._slots[word]

    def get(self, word: str) -> int:
        return self._words.load(self._slots[word])

    def set(self, word: str, value: int) -> None:
        self._words.store(self._slots[word], value)

    def add(self, word: str, n: int = 1) -> None:
        self._words.add(self._slots[word], n)

    def snapshot(self) -> dict[str, int]:
        """Every word by name; each is right, but they are not from the same moment."""
        load = self._words.load
        return {word: load(slot) for word, slot in self._slots.items()}

    @property
    def note(self) -> str:
        """Empty until written. Raises LocalError if it never holds still."""
        for _ in range(NOTE_READS_MAX):
            count = self._words.load(NOTE_COUNT_SLOT)
            slot = NOTE_SLOTS[count & 1]
            length = self._words.load(slot)
            content = b"".join(
                self._words.load(i).to_bytes(8, sys.byteorder, signed=True)
                for i in range(slot + 1, slot + 1 + (length + 7) // 8)
            )
            if self._words.load(NOTE_COUNT_SLOT) == count:
                return content[:length].decode()
        raise LocalError(f"counters {self.name!r}: the note changes faster than it can be read")

    @note.setter
    def note(self, note: str) -> None:
        content = note.encode()
        if len(content) > NOTE_BYTES_MAX:
            raise LocalError(
                f"counters {self.name!r}: a note has at most {NOTE_BYTES_MAX} bytes, "
                f"not {len(content)}"
            )
        count = self._words.load(NOTE_COUNT_SLOT) + 1
        slot = NOTE_SLOTS[count & 1]
        for i in range(0, len(content), 8):
            word = int.from_bytes(content[i : i + 8].ljust(8), sys.byteorder, signed=True)
            self._words.store(slot + 1 + i // 8, word)
        self._words.store(slot, len(content))
        self._words.store(NOTE_COUNT_SLOT, count)

    def __reduce__(self) -> tuple[object, ...]:
        return Counters, (self.block, self.words)

    def __repr__(self) -> str:
        return f"Counters({self.name!r}, {len(self.words)} words)"
