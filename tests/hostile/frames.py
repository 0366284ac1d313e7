"""Hostile frames: mutations of usual ones and forgeries, drawn from one seeded source.

They know every trick that a page of this project names, and no expectation: what must become of
them is the campaign's to say.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import orjson

from actors.messages.control import SEQUENCE_END, SEQUENCE_STEP_MAX, STATE_EVENT, STATES

FRAGMENTS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\t", b"\n", b"0", b"-", b".", b"e9",
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc0\xaf", b"null", b"true",
    b'\\u0049', b'\\ud800', b'"userId":"h-99",', b'"type":1,', b'"data":{', b'"sequence":7,',
    b'"history":true,', b"},{", b'":["', b'"],"sequence":9}', b",4611686018427387904,",
    b'"type":"history.complete",', b'{"userId":"h-98"}', b"/*", b"NaN", b"Infinity", b"1e999",
)  # fmt: skip
SEQUENCES = (
    b"0", b"-5", b"5.0", b"1e3", b"05", b'"5"', b"true", b"null", b"[5]", b"{}", b"-0", b"5 5",
    b"4611686018427387903", b"4611686018427387904", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"1e400", b"9" * 400, b"5.0000000000000001", b"0x5", b"5_0",
)  # fmt: skip
FORGED = (
    '{{"type":"subscription","status":"subscribed","sequence":{near},"epoch":"forged"}}',
    '{{"type":"gap","from":{past},"to":{near}}}',
    '{{"type":"gap","from":{near},"to":{past}}}',
    '{{"type":"gap","from":1,"to":{far}}}',
    '{{"type":"gap","from":true,"to":5.0}}',
    '{{"type":"history.complete","sequence":{far}}}',
    '{{"type":"history.complete","sequence":{near},"data":{{"userId":"h-1"}}}}',
    '{{"type":"history.complete"}}',
)
TIMES = (
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999-12:00", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999999-00:01",
    "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01",
    "2016-12-31T23:59:60Z", "2026-02-29T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21",
    "2026-11-21T22:00:00", "2026-W47-6T22:00:00Z", "20261121T220000Z", "1796096582360", "now", "",
    "2026-11-21T22:00:00.000+23:59", "2026-11-21T22:00:00.000-23:59:59.999999", "NaN", "0",
    "2026-11-21t22:00:00.000z", "2026-11-21 22:00:00.000 Z",
    "\u0662\u0660\u0662\u0666-11-21T22:00Z",
)  # fmt: skip
"""At the edges of what a calendar, an offset and a reader of dates know."""
OPENERS = (
    b"1,[2", b"3]", b'{"pad":["', b'"],"sequence":9}', b"1,2", b"", b" ", b"]", b"[", b'"', b"\\",
    b"{}{}", b"1],[2", b"9" * 5000, b"[" * 1023, b"[" * 1025 + b"]" * 1025, b'{"a":' * 900,
    b"null", b"true", b"[]", b"{}", b'"routing.agents.state"', b'{"type":{}}', b'{"type":["x"]}',
    b'{"data":{"userId":[]}}', b'{"data":[],"type":"routing.agents.state","sequence":1}',
)  # fmt: skip
HOSTILE_USERS = 400


class Forge:
    """Frames of agents named `h-…`, never of anybody else's."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last = b"{}"
        self._mutations: tuple[Callable[[bytes], bytes], ...] = (
            self._flip, self._insert, self._insert, self._delete, self._truncate, self._repeat,
            self._swap, self._splice, self._escape, self._space, self._sequence, self._nest,
            self._again, self._reorder, self._case, self._encode,
        )  # fmt: skip

    def frame(self, newest: int, *, may_end_history: bool) -> bytes:
        """One hostile frame around a numbering that has come to `newest`."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.03:
            forged = self._forged(newest, may_end_history)
        elif kind < 0.06:
            forged = rng.choice(OPENERS)
        elif kind < 0.07:
            forged = self._giant(newest)
        else:
            forged = self._event(newest)
            for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
                forged = rng.choice(self._mutations)(forged)
        self._last = forged[:2_000]
        return forged

    def _event(self, newest: int) -> bytes:
        rng = self._rng
        user = f"h-{rng.randrange(HOSTILE_USERS)}"
        sequence = newest + 1 + rng.randrange(-2_000, 2_000)
        if rng.random() < 0.002:
            sequence += rng.choice((SEQUENCE_STEP_MAX // 2, SEQUENCE_STEP_MAX, SEQUENCE_END // 2))
        state = rng.choice(STATES)
        if rng.random() < 0.1:
            state = rng.choice(("Unknown", "", f"state {rng.randrange(5_000)}", "x" * 70))
        seconds = rng.randrange(60)
        more = ""
        if rng.random() < 0.5:
            more = f',"queueId":"q-{rng.randrange(5_000)}"'
        if rng.random() < 0.2:
            more += ',"presence":"busy","correlationId":"c-1"'
        head = '"history":true,' if rng.random() < 0.1 else ""
        kind = STATE_EVENT
        if rng.random() < 0.1:
            kind = rng.choice(("routing.agents.apptent", "x", "routing.agents.state ", "y" * 99))
            more += ',"start":"2026-11-23T08:00:00Z","end":"2026-11-23T09:00:00Z"'
        stamp = f"2026-11-21T22:00:{seconds:02d}.000Z"
        if rng.random() < 0.2:
            stamp = self._stamp()
        return (
            f'{{"type":"{kind}",{head}"sequence":{sequence},"data":{{"userId":"{user}",'
            f'"state":"{state}","timestamp":"{stamp}"{more}}}}}'
        ).encode()

    def _stamp(self) -> str:
        """A time of any year, fraction and offset; some are none."""
        rng = self._rng
        if rng.random() < 0.5:
            return rng.choice(TIMES)
        year = rng.choice(
            (0, 1, 2, 1_969, 1_970, 2_026, 2_027, 9_998, 9_999, rng.randrange(10_000))
        )
        month, day = rng.choice((1, 12, rng.randrange(14))), rng.choice((1, 31, rng.randrange(33)))
        fraction = "." + "9" * rng.randrange(1, 12) if rng.random() < 0.5 else ""
        zone = rng.choice(
            ("Z", "", f"{rng.choice('+-')}{rng.randrange(25):02d}:{rng.randrange(61):02d}")
        )
        clock = f"{rng.randrange(25):02d}:{rng.randrange(61):02d}:{rng.randrange(62):02d}"
        return f"{year:04d}-{month:02d}-{day:02d}T{clock}{fraction}{zone}"

    def _forged(self, newest: int, may_end_history: bool) -> bytes:
        pattern = self._rng.choice(FORGED if may_end_history else FORGED[:5])
        near = newest + self._rng.randrange(2_000)
        past = max(1, newest - self._rng.randrange(2_000))
        return pattern.format(near=near, past=past, far=newest + SEQUENCE_END // 2).encode()

    def _giant(self, newest: int) -> bytes:
        pad = b"y" * self._rng.choice((200, 5_000, 33_000, 70_000))
        where = self._rng.choice((b'"userId":"', b'"state":"', b'"timestamp":"', b'"data":{"'))
        return self._event(newest).replace(where, where + pad)

    # Mutations

    def _at(self, frame: bytes) -> int:
        return self._rng.randrange(len(frame) + 1)

    def _flip(self, frame: bytes) -> bytes:
        at = self._at(frame)
        if at == len(frame):
            return frame
        return frame[:at] + bytes((frame[at] ^ 1 << self._rng.randrange(8),)) + frame[at + 1 :]

    def _insert(self, frame: bytes) -> bytes:
        at = self._at(frame)
        return frame[:at] + self._rng.choice(FRAGMENTS) + frame[at:]

    def _delete(self, frame: bytes) -> bytes:
        at = self._at(frame)
        return frame[:at] + frame[at + self._rng.randrange(1, 12) :]

    def _truncate(self, frame: bytes) -> bytes:
        return frame[: self._at(frame)]

    def _repeat(self, frame: bytes) -> bytes:
        at = self._at(frame)
        piece = frame[at : at + self._rng.randrange(1, 60)]
        return frame[:at] + piece * self._rng.choice((2, 2, 3, 40)) + frame[at + len(piece) :]

    def _swap(self, frame: bytes) -> bytes:
        a, b = sorted((self._at(frame), self._at(frame)))
        return frame[b:] + frame[a:b] + frame[:a]

    def _splice(self, frame: bytes) -> bytes:
        at = self._at(frame)
        return frame[:at] + self._last[self._at(self._last) :]

    def _escape(self, frame: bytes) -> bytes:
        """One letter as \\uXXXX: it may be of a key, the id, or outside of any string."""
        at = self._at(frame)
        letter = frame[at : at + 1]
        return frame[:at] + b"\\u%04x" % letter[0] + frame[at + 1 :] if letter else frame

    def _space(self, frame: bytes) -> bytes:
        space = self._rng.choice((b" ", b"\n", b"\t \r\n", b"\x0b", b"\xc2\xa0"))
        return frame.replace(self._rng.choice((b":", b",", b"{")), space + b":", 1) + space

    def _sequence(self, frame: bytes) -> bytes:
        head, found, rest = frame.partition(b'"sequence":')
        return head + found + self._rng.choice(SEQUENCES) + rest.lstrip(b"-0123456789")

    def _nest(self, frame: bytes) -> bytes:
        other = self._rng.choice((b"userId", b"type", b"sequence", b"data", b"history"))
        inner = b'"x":{"' + other + b'":"h-97"},'
        return frame.replace(b'"data":{', b'"data":{' + inner, 1)

    def _again(self, frame: bytes) -> bytes:
        other = self._rng.choice(
            (b'"userId":"h-96"', b'"type":"gap"', b'"sequence":3', b'"data":{"userId":"h-95"}')
        )
        return frame[:-1] + b"," + other + frame[-1:]

    def _case(self, frame: bytes) -> bytes:
        """Of a name, a text or all: another key, another state, another person, or the same."""
        begin, end = sorted((self._at(frame), self._at(frame)))
        change = self._rng.choice((bytes.upper, bytes.lower, bytes.swapcase, bytes.title))
        return frame[:begin] + change(frame[begin:end]) + frame[end:]

    def _encode(self, frame: bytes) -> bytes:
        """In another encoding, as a whole or from somewhere on."""
        at = self._rng.choice((0, self._at(frame)))
        encoding = self._rng.choice(("utf-16", "utf-16-be", "utf-32-le", "utf-7", "utf-8-sig"))
        return frame[:at] + frame[at:].decode("latin-1").encode(encoding)

    def _reorder(self, frame: bytes) -> bytes:
        try:
            value = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return frame
        if not isinstance(value, dict):
            return frame
        return respelt(value, self._rng)


def respelt(value: dict[str, object], rng: random.Random) -> bytes:
    """The same JSON value: other order, other spacing, other spelling of its texts."""
    members = list(value.items())
    rng.shuffle(members)
    space = rng.choice((b"", b" ", b"\r\n\t"))
    spelt = []
    for key, member in members:
        inner = respelt(member, rng) if isinstance(member, dict) else orjson.dumps(member)
        spelt.append(_texted(key, rng) + space + b":" + space + inner)
    return space + b"{" + (b"," + space).join(spelt) + b"}" + space


def _texted(text: str, rng: random.Random) -> bytes:
    plain = orjson.dumps(text)
    if rng.random() < 0.8 or not text.isascii() or not text.isalpha():
        return plain
    at = rng.randrange(len(text))
    return b'"%s\\u%04x%s"' % (text[:at].encode(), ord(text[at]), text[at + 1 :].encode())
