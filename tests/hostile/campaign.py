"""A campaign: genuine events among hostile frames, session after session, and what must hold.

The genuine ones are those of agents named `genuine-…`: each must make exactly one row, whatever
came before, between and behind. No hostile frame speaks of them, and none that could be an event
bears the sequence of a genuine one to come (the gateway numbers each event once).
"""

from __future__ import annotations

import random
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw
import orjson
from picows import WSMsgType

from actors.genesys import json_text
from actors.genesys.wsp import OwnedEvent, read_frame, sequence_or_0
from actors.messages.control import SEQUENCE_STEP_MAX, STATE_EVENT, STATES, UNKNOWN
from actors.messages.transition import Transition
from actors.receiver import routing
from actors.receiver.connection import SHED_TYPES_MAX
from actors.shard import agent_table, decode, dedup, journal, merge, quarantine
from actors.shard.journal import Transaction
from actors.shard.shard import Shard
from tests.hostile.frames import Forge, respelt
from tests.hostile.pipeline import Pipeline
from tests.hostile.ways_out import assert_comes_out, assert_restores

GENUINE = 60
KEPT = 2_000  # of what was sent, for replays
START = datetime(2026, 11, 21, 22, 5, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FRAMES_OF_SESSION = (500, 4_000)
HOUR_US = 3_600_000_000
USUAL_US = (START - timedelta(minutes=5) - EPOCH) // timedelta(microseconds=1)
"""When hostile frames say that they were written, unless their time is part of the hostility."""
AGENTS_MAX, QUEUES_MAX, QUARANTINE_MAX = 3_000, 1_000, 700


class Campaign:
    """Everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.forge = Forge(self.rng)
        self.pipeline = Pipeline(self._on_transaction)
        self.fed = self.odd_times = 0
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._users = [f"genuine-{i}" + "é" * (i % 3) for i in range(GENUINE)]
        self._held: dict[str, tuple[str, int]] = {}  # state, at µs
        self._last: dict[str, tuple[int, dict[str, Any]]] = {}  # sequence, data
        self._due: dict[int, tuple[str, str]] = {}  # rows that must come, by their time
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._claimed: set[int] = set()  # sequences that hostile frames bear
        self._newest, self._numberings, self._serial = 10_000, 1, 0
        connection = apsw.Connection(":memory:")
        connection.execute(journal.SCHEMA)
        self._quarantine = quarantine.Quarantine(connection)
        self._quarantined = connection

    def run(self, frames: int) -> None:
        """Sessions, until so many frames were fed."""
        while self.fed < frames:
            self._session()
        self.check()

    # One session

    def _session(self) -> None:
        if self.rng.random() < 0.1:  # the gateway was restarted and numbers from 1
            self._numberings += 1
            self._newest = 0
            self._sent.clear()
        self._claimed.clear()
        pipeline = self.pipeline
        pipeline.connect(
            b'{"type":"subscription","status":"subscribed","sequence":%d,"epoch":"e%d"}'
            % (self._newest, self._numberings)
        )
        for sequence, frame in list(self._sent) if pipeline.resume_after is not None else ():
            if sequence > (pipeline.resume_after or 0):
                self._feed("replayed", frame)
        for user in self._users:
            self._tell_history(user)
            if self.rng.random() < 0.5:
                self._feed_hostile(may_end_history=False)
        pipeline.bring(b'{"type":"history.complete","sequence":%d}' % self._newest)
        for _ in range(self.rng.randrange(*FRAMES_OF_SESSION)):
            self._step()
        pipeline.tick()
        pipeline.drain()
        assert self._due == {}, f"never applied: {self._due}"

    def _step(self) -> None:
        pipeline, kind = self.pipeline, self.rng.random()
        if kind < 0.25:
            self._feed_genuine()
        elif kind < 0.30 and self._sent:
            _, frame = self.rng.choice(self._sent)
            self._feed("repeated", respelt(orjson.loads(frame), self.rng))
        elif kind < 0.31:
            pipeline.bring(b"ping", WSMsgType.PING)
        else:
            self._feed_hostile(may_end_history=True)
        # Mostly a read at a time; now and then the shards stand still and the rings run over.
        if self.rng.random() < (0.02 if self.fed % 5_000 > 1_500 else 0.0005):
            pipeline.tick()
            pipeline.drain()

    def _tell_history(self, user: str) -> None:
        sequence, data = self._last.get(user, (1, None))
        if data is None:
            data = self._data(user, "Available")
            self._last[user] = (sequence, data)
            self._held[user] = ("Available", self._at_us())
            self._due[self._at_us()] = (user, "Available")
        value = {"type": STATE_EVENT, "sequence": sequence, "history": True, "data": data}
        self._feed("history", orjson.dumps(value))

    def _feed_genuine(self) -> None:
        user = self.rng.choice(self._users)
        state = self.rng.choice(STATES)
        self._newest += 1
        while self._newest in self._claimed:
            self._newest += 1
        data = self._data(user, state)
        value = {"type": STATE_EVENT, "sequence": self._newest, "data": data}
        self._last[user] = (self._newest, data)
        self._held[user] = (state, self._at_us())
        self._due[self._at_us()] = (user, state)
        frame = orjson.dumps(value)
        self._sent.append((self._newest, frame))
        if self.rng.random() < 0.2:
            frame = respelt(value, self.rng)
        self._feed("genuine", frame)

    def _feed_hostile(self, *, may_end_history: bool) -> None:
        frame = self.forge.frame(self._newest, may_end_history=may_end_history)
        try:
            value = json_text.parsed(frame)  # around its damage, as it is read
        except ValueError:
            value = None
        if isinstance(value, dict):
            if value.get("type") == "history.complete" and not may_end_history:
                return  # the gateway's own word: whom it has not named by then becomes Unknown
            if claimed := sequence_or_0(value.get("sequence")):
                self._claimed.add(claimed)
        self._feed("hostile", frame)

    def _feed(self, kind: str, frame: bytes) -> None:
        """One message: it meets exactly one fate, and is routed as a full parse would route it."""
        pipeline, ring_writer = self.pipeline, self.pipeline.ring_writer
        before, known, watermark = pipeline.outcomes, ring_writer.known, ring_writer.watermark
        way = self.rng.random()
        if way < 0.01:
            pipeline.bring(frame, WSMsgType.BINARY if kind == "hostile" else WSMsgType.TEXT)
        elif way < 0.03:
            at = self.rng.randrange(len(frame) + 1)
            pipeline.bring(frame[:at], fin=False)
            pipeline.bring(b"", WSMsgType.PONG)
            pipeline.bring(frame[at:], WSMsgType.CONTINUATION)
        else:
            assert_routed_as_parsed(frame)
            pipeline.bring(frame)
        self.fed += 1
        self.kinds[kind] += 1
        assert pipeline.outcomes == before + 1, (kind, frame)
        assert ring_writer.known - known <= SEQUENCE_STEP_MAX, frame
        assert watermark <= ring_writer.watermark <= known + SEQUENCE_STEP_MAX, frame

    def _data(self, user: str, state: str) -> dict[str, Any]:
        self._serial += 1
        at = START + timedelta(milliseconds=self._serial)
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"userId": user, "state": state, "timestamp": stamp, "queueId": "q-genuine"}

    def _at_us(self) -> int:
        return (START + timedelta(milliseconds=self._serial) - EPOCH) // timedelta(microseconds=1)

    # What must hold

    def _on_transaction(self, shard: Shard, transaction: Transaction) -> None:
        for plain in transaction.pending.rows:
            row = Transition._make(plain)
            if row.agent:
                user = shard.agent_table.by_id[row.agent - 1].user_id
                if user.startswith("genuine-"):
                    self._account_for(user, row)
                elif not USUAL_US <= row.at_us < USUAL_US + HOUR_US:
                    self.odd_times += 1
                    assert_comes_out(row, user)
        with self._quarantined:
            self._quarantine.add(transaction.rejections)
        for rejection in transaction.rejections:
            self.reasons[rejection.reason] += 1
        counts = shard.merge.counts
        assert counts["received"] == sum(counts.values()) - counts["received"], counts
        assert shard.merge.mark <= self.pipeline.ring_writer.known + SEQUENCE_STEP_MAX

    def _account_for(self, user: str, row: Transition) -> None:
        if row.cause == "history" and row.at_us not in self._due:
            # A new numbering tells again what is held.
            assert row.from_state == row.to_state, row
            return
        assert row.cause in {"live", "history"}, row
        assert self._due.pop(row.at_us, None) == (user, row.to_state), row

    def check(self) -> None:
        """At a quiet moment."""
        pipeline = self.pipeline
        pipeline.tick()
        pipeline.drain()
        shards, get = pipeline.shards, pipeline.counters.get
        received = sum(shard.merge.counts["received"] for shard in shards)
        shed = pipeline.tally.shed.total()
        assert received == get("events_routed") + get("rejected") + shed
        assert sum(shard.merge.counts["shed"] for shard in shards) == shed
        quarantined = sum(shard.merge.counts["quarantined"] for shard in shards)
        assert quarantined == self.reasons.total()
        assert self.reasons["another shard owns this agent"] == 0
        held = {
            agent.user_id: (agent.state, agent.at_us)
            for shard in shards
            for agent in shard.agent_table.by_id
            if agent.user_id.startswith("genuine-")
        }
        assert held == self._held
        assert UNKNOWN not in {state for state, _ in held.values()}
        for shard in shards:
            self._check_bounds(shard)
            assert_restores(shard)

    def _check_bounds(self, shard: Shard) -> None:
        held, names = shard.agent_table, shard.merge.names
        assert len(held.by_user) == len(held.by_id) <= AGENTS_MAX
        assert len(names.states) <= len(STATES) + decode.UNKNOWN_STATES_MAX
        assert len(names.queues) <= QUEUES_MAX
        assert len(shard.merge.times) <= decode._TIMES_MAX
        assert len(shard.merge.silent) <= merge.SILENT_MAX
        hashes = shard.merge.hashes
        assert max(len(hashes.younger), len(hashes.older)) < dedup.HASHES_MAX + 512
        assert len(shard._rejections) <= QUARANTINE_MAX
        assert len(held.appointed) <= AGENTS_MAX
        tally = self.pipeline.tally
        assert len(tally.shed) <= SHED_TYPES_MAX + 1
        assert max(map(len, tally.shed), default=0) <= 64
        rows, most = self._quarantined.execute(
            "SELECT count(*), max(length(frame)) FROM quarantine"
        ).get
        assert rows <= QUARANTINE_MAX
        assert (most or 0) <= quarantine.FRAME_BYTES_MAX


def small_bounds() -> None:
    """Bounds that a campaign reaches soon; the rules behind them are the product's."""
    agent_table.AGENTS_MAX = AGENTS_MAX
    decode.QUEUES_MAX = QUEUES_MAX
    quarantine.ROWS_MAX = QUARANTINE_MAX


def assert_routed_as_parsed(frame: bytes) -> None:
    """Whatever the fast routing takes, a full parse routes to the same place, if it is JSON."""
    taken = routing.routed(frame)
    if taken is None:
        return
    try:
        orjson.loads(frame)
    except orjson.JSONDecodeError:
        return
    read = read_frame(frame)
    assert isinstance(read, OwnedEvent), frame
    assert read.type == STATE_EVENT, frame
    assert taken == (routing.partition(read.user_id.encode()), read.sequence), frame
