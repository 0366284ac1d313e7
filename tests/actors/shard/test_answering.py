"""The state actor asked by a sender: two more rings, and no promise that needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import structlog

from actors.genesys.presences import PRESENCE_OF_STATE
from actors.messages.queries import (
    AgentRecord,
    Answer,
    AskAgent,
    AskQueue,
    Question,
    QueueRecord,
    TransitionSeen,
    Watch,
    decode_answer,
    encode_question,
)
from actors.shard.answering import Answering, AnsweringArguments
from actors.shard.journal import Journal
from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.exit import Exit
from runtime.ring import KIND_CONTROL, KIND_EVENT, Consumer, Producer, ring_bytes
from tests.actors.shard.actor_bench import Bench
from tests.actors.shard.lending import RECEIVED_NS, A, Record, event
from tests.actors.shard.test_actor import BROKE

RING = ring_bytes(64 << 10)
COMMAND = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"


class AskedBench(Bench):
    """A bench with a sender at the other ends."""

    def __init__(self, path: Path, *, journalled: bool = True) -> None:
        self.questions, self.answers = (
            Block.create("questions", RING),
            Block.create("answers", RING),
        )
        super().__init__(
            path,
            journalled=journalled,
            answering=AnsweringArguments(
                questions=self.questions,
                answers=self.answers,
                doorbell=Doorbell.create("sender"),
                presence_of_state=PRESENCE_OF_STATE,
            ),
        )
        self.sender_lives = 0
        self.told: list[Answer] = []
        self.begin_sender()

    def begin_sender(self) -> None:
        self.sender_lives += 1
        self.asker = Producer(
            self.questions, generation=self.sender_lives, doorbell=self.arguments.doorbell
        )
        self.listener = Consumer(self.answers, generation=self.sender_lives)

    def ask(self, *questions: Question) -> None:
        for question in questions:
            assert self.asker.stage(encode_question(question), KIND_CONTROL)
        self.asker.publish()

    def feed(self, record: Record) -> None:
        assert self.producer.stage(
            record.payload, KIND_EVENT, epoch=1, sequence=record.sequence, received_ns=RECEIVED_NS
        )
        self.producer.publish()

    def listen(self) -> list[Answer]:
        """All that was told so far."""
        while (batch := self.listener.peek()) is not None:
            assert batch.kinds == bytes([KIND_CONTROL]) * batch.count
            self.told += [decode_answer(batch.frame(i)) for i in range(batch.count)]
            self.listener.commit(batch.cursor_to)
        return self.told

    def hear(self, count: int) -> list[Answer]:
        self.wait(lambda: len(self.listen()) >= count)
        return self.told


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[AskedBench]:
    bench = AskedBench(tmp_path / "shard-00.db")
    yield bench
    if not bench.inbox.ending.reached.is_set():
        bench.stop()


@pytest.mark.parametrize("journalled", [True, False], ids=["journal full", "journal off"])
def test_questions_are_answered_between_batches_in_their_order(
    tmp_path: Path, journalled: bool
) -> None:
    bench = AskedBench(tmp_path / "shard-00.db", journalled=journalled)
    bench.start()
    bench.feed(event(1_001, A, "Talking", queueId="q"))
    bench.wait(lambda: bench.counters.get("applied") == 1)
    bench.ask(AskQueue(1, "q"), AskAgent(2, A), AskAgent(3, "nobody"))
    queue, agent, nobody = bench.hear(3)
    assert isinstance(queue, QueueRecord)
    assert (queue.question, queue.available, queue.busy) == (1, 0, 1)
    assert isinstance(agent, AgentRecord)
    assert (agent.question, agent.state, agent.queue) == (2, "Talking", "q")
    assert isinstance(nobody, AgentRecord)
    assert (nobody.question, nobody.state) == (3, None)
    bench.stop()
    assert (bench.counters.get("questions"), bench.counters.get("answers")) == (3, 3)
    assert bench.counters.get("batches") == 1  # of events


@pytest.mark.parametrize("journalled", [True, False], ids=["journal full", "journal off"])
def test_a_watched_transition_is_told_by_itself_and_again_when_renewed(
    tmp_path: Path, journalled: bool
) -> None:
    bench = AskedBench(tmp_path / "shard-00.db", journalled=journalled)
    bench.start()
    bench.ask(Watch(A, COMMAND))
    bench.wait(lambda: bench.counters.get("watches") == 1)
    bench.feed(event(1_001, A, "Talking", presence="busy", correlationId=COMMAND))
    (shown,) = bench.hear(1)
    assert isinstance(shown, TransitionSeen)
    assert (shown.correlation, shown.user_id, shown.presence) == (COMMAND, A, "busy")
    bench.ask(Watch(A, COMMAND))
    assert bench.hear(2) == [shown, shown]
    bench.stop()


def test_nothing_is_told_before_its_commit(
    bench: AskedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.start()
    bench.ask(Watch(A, COMMAND))
    bench.wait(lambda: bench.counters.get("watches") == 1)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "commit", lambda *_: 1 / 0)
        bench.feed(event(1_001, A, "Talking", correlationId=COMMAND))
        assert isinstance(bench.dies(), ZeroDivisionError)
    assert bench.listen() == []
    bench.start(BROKE)  # watches died with it; the event did not, and is told when asked for again
    bench.wait(lambda: bench.counters.get("applied") == 1)
    bench.ask(Watch(A, COMMAND))
    assert [type(each) for each in bench.hear(1)] == [TransitionSeen]


def test_what_was_committed_before_a_death_is_known_to_the_successor(bench: AskedBench) -> None:
    bench.start()
    bench.feed(event(1_001, A, "Talking", correlationId=COMMAND))
    bench.stop()
    bench.start()
    bench.ask(Watch(A, COMMAND))
    assert [type(each) for each in bench.hear(1)] == [TransitionSeen]


def test_questions_that_stand_in_the_ring_wait_for_the_successor(bench: AskedBench) -> None:
    bench.ask(AskAgent(1, A))
    bench.start()
    assert [type(each) for each in bench.hear(1)] == [AgentRecord]


def test_a_death_while_answering_suspects_nothing_and_the_question_is_met_again(
    bench: AskedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answering.answer

    def die_afterwards(*given: object) -> None:
        answer(*given)  # type: ignore[arg-type]
        raise RuntimeError("killed between the answers and the commit of the ring")

    bench.start()
    bench.feed(event(1_001, A))
    bench.wait(lambda: bench.counters.get("applied") == 1)
    with monkeypatch.context() as patch:
        patch.setattr(Answering, "answer", die_afterwards)
        bench.ask(AskAgent(1, A))
        assert isinstance(bench.dies(), RuntimeError)
    bench.start(Exit(1.0, 1))
    first, second = bench.hear(2)  # twice: the sender knows the number and takes one of them
    assert first == second
    assert bench.counters.get("suspicion_verdict") == 0
    bench.send(1_002, 50)
    bench.wait(lambda: bench.counters.get("applied") == 51)
    bench.stop()
    assert bench.counters.get("duplicates") == 0


def test_a_full_ring_of_answers_drops_them_and_holds_up_no_event(bench: AskedBench) -> None:
    bench.start()
    for first in range(0, asked := 1_000, 50):
        bench.ask(*(AskAgent(first + i, A * 3) for i in range(50)))
        bench.wait(lambda: bench.asker.used_bytes == 0)
    assert 0 < bench.counters.get("answers_dropped") < asked
    bench.send(1_001, 100)
    bench.wait(lambda: bench.counters.get("applied") == 100)
    heard = len(bench.listen())
    assert heard == bench.counters.get("answers")
    assert heard + bench.counters.get("answers_dropped") == asked
    bench.ask(AskAgent(asked, A))  # asked again once there is room
    assert isinstance(bench.hear(heard + 1)[-1], AgentRecord)


def test_a_sender_that_begins_anew_is_answered(bench: AskedBench) -> None:
    bench.start()
    bench.ask(AskAgent(1, A))
    bench.hear(1)
    bench.begin_sender()
    bench.ask(AskAgent(2, A))
    assert [each.question for each in bench.hear(2) if isinstance(each, AgentRecord)] == [1, 2]


def test_what_is_no_question_is_counted_told_once_and_stops_nothing(bench: AskedBench) -> None:
    with structlog.testing.capture_logs() as lines:
        bench.start()
        bench.asker.stage(b"[]", KIND_CONTROL)
        bench.asker.stage(orjson.dumps(["agent?", 1]), KIND_CONTROL)
        bench.asker.stage(encode_question(AskAgent(1, A)), KIND_EVENT)
        bench.asker.stage(encode_question(AskAgent(2, "x" * 5_000)), KIND_CONTROL)
        bench.ask(AskAgent(3, A))
        (told,) = bench.hear(1)
    assert isinstance(told, AgentRecord)
    assert told.question == 3
    assert bench.counters.get("questions_malformed") == 4
    assert [line["event"] for line in lines].count("query.malformed") == 1


def test_questions_move_no_cursor_of_the_journal(bench: AskedBench) -> None:
    bench.start()
    bench.send(1_001, 10)
    bench.ask(*(AskAgent(number, A) for number in range(100)))
    bench.hear(100)
    bench.stop()
    journal = Journal(bench.arguments.path, "run-1")
    try:
        assert journal.stored().progress.cursors == (bench.producer.cursor,)
    finally:
        journal.close()
