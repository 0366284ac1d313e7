"""Owns the two rings between a shard and the sender: questions come, answers go.

Nobody waits for a reader: an answer without room is dropped and counted, and its question comes
again. Nor do questions count as what a shard has in hand: they stand in no journal, a successor
meets what was not answered, and none of them is ever suspected of a death.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from actors.messages.queries import Answer, Question, decode_question, encode_answer
from actors.shard.replies import Replies
from actors.shard.shard import Shard
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Batch, Consumer, Producer

QUESTION_BYTES_MAX = 4_096
"""Far more than a user id, a queue or a correlation id takes; its answer always fits a ring."""

ANSWERING_WORDS = (
    "questions",
    "questions_malformed",
    "answers",
    "answers_dropped",
    "watches",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringArguments:
    """What a shard needs to answer the sender."""

    questions: Block  # sender → shard
    answers: Block  # shard → sender
    doorbell: Doorbell  # the sender's: rung for answers
    presence_of_state: Mapping[str, str]


class Answering:
    """The shard's ends of the rings. All calls are the actor's, between two of its batches."""

    def __init__(self, arguments: AnsweringArguments, counters: Counters, generation: int) -> None:
        self.consumer = Consumer(arguments.questions, generation=generation)
        self._producer = Producer(
            arguments.answers, generation=generation, doorbell=arguments.doorbell
        )
        self._counters = counters
        self._replies = Replies(arguments.presence_of_state)
        self._log = structlog.get_logger("actors.state")
        self._has_told = False

    def answer(self, batch: Batch, shard: Shard, now_s: float) -> None:
        """Answers a batch of questions from what is held, which is committed."""
        self._counters.add("questions", batch.count)
        questions = list(self._decoded(batch))
        sessions = shard.sessions
        self._send(
            self._replies.answer(
                questions, shard.agent_table, sessions.stale_since_us, now_s, sessions.stale_of
            )
        )
        self._counters.set("watches", self._replies.watches)

    def show(self, shard: Shard) -> None:
        """After a commit or a restart: remembers the correlated transitions that it brought, and
        tells of those that are watched."""
        correlated = shard.agent_table.correlated
        shown = self._replies.note(correlated)
        correlated.clear()
        self._send(shown)

    def beat(self, now_s: float) -> None:
        self._replies.forget_unrenewed(now_s)
        self._counters.set("watches", self._replies.watches)

    def _decoded(self, batch: Batch) -> Iterator[Question]:
        for index in range(batch.count):
            try:
                payload = batch.frame(index)
                if batch.kinds[index] != KIND_CONTROL or len(payload) > QUESTION_BYTES_MAX:
                    raise ValueError(f"{len(payload)} bytes of kind {batch.kinds[index]}")
                yield decode_question(payload)
            except ValueError as error:
                self._counters.add("questions_malformed")
                if not self._has_told:
                    self._log.warning("query.malformed", cause=str(error))
                self._has_told = True

    def _send(self, answers: Iterable[Answer]) -> None:
        sent = dropped = 0
        for answer in answers:
            if self._producer.stage(encode_answer(answer), KIND_CONTROL):
                sent += 1
            else:
                dropped += 1
        if sent:
            self._producer.publish()
            self._counters.add("answers", sent)
        if dropped:
            self._counters.add("answers_dropped", dropped)
