"""What a shard answers: agents, queues, and the transitions that commands caused."""

from __future__ import annotations

import pytest

from actors.genesys.presences import PRESENCE_OF_STATE
from actors.messages.control import SCOPE_ALL, UNKNOWN, SessionEnds
from actors.messages.queries import (
    WATCH_LEASE_S,
    AgentRecord,
    Answer,
    AskAgent,
    AskQueue,
    Question,
    QueueRecord,
    TransitionSeen,
    Watch,
)
from actors.shard import replies as replies_module
from actors.shard.replies import Replies, queue_counts
from tests.actors.shard.lending import QUEUE, A, B, C, batch, control, event
from tests.actors.shard.rig import Rig

T0, T1, T2 = (f"2026-11-21T22:00:0{second}.000Z" for second in range(3))
T0_US = 1_795_298_400_000_000
COMMAND = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"


@pytest.fixture
def replies() -> Replies:
    return Replies(PRESENCE_OF_STATE)


def ask(replies: Replies, rig: Rig, *questions: Question) -> list[Answer]:
    since_us = rig.shard.sessions.stale_since_us
    return list(replies.answer(questions, rig.shard.agent_table, since_us, rig.now_s))


def note(replies: Replies, rig: Rig) -> list[TransitionSeen]:
    shown = replies.note(rig.shard.agent_table.correlated)
    rig.shard.agent_table.correlated.clear()
    return shown


def test_an_agent_is_told_as_the_last_event_left_it(rig: Rig, replies: Replies) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Not Available", T1, presence="offline", queueId=QUEUE))
    rig.end_history()
    assert ask(replies, rig, AskAgent(7, A)) == [
        AgentRecord(7, A, "Not Available", "offline", QUEUE, T0_US + 1_000_000, None)
    ]


def test_nobody_has_seen_an_agent_that_no_event_named(rig: Rig, replies: Replies) -> None:
    rig.begin()
    rig.end_history()
    assert ask(replies, rig, AskAgent(1, B)) == [AgentRecord(1, B, None, None, None, 0, None)]


def test_an_agent_whom_a_history_did_not_name_is_unknown(rig: Rig, replies: Replies) -> None:
    rig.begin(session=1)
    rig.feed(event(1_001, A, "Available", T0))
    rig.end_history()
    rig.begin(session=2, newest=1_001)
    rig.end_history(session=2)
    (told,) = ask(replies, rig, AskAgent(1, A))
    assert isinstance(told, AgentRecord)
    assert told.state == UNKNOWN


def test_nothing_is_confirmed_before_the_first_session(rig: Rig, replies: Replies) -> None:
    agent, queue = ask(replies, rig, AskAgent(1, A), AskQueue(2, QUEUE))
    assert isinstance(agent, AgentRecord)
    assert isinstance(queue, QueueRecord)
    assert agent.stale_since_us == queue.stale_since_us == 0


def test_after_a_session_it_is_told_since_when_nothing_is_confirmed(
    rig: Rig, replies: Replies
) -> None:
    rig.begin()
    rig.feed(event(1_001, A))
    rig.end_history()
    rig.feed(control(SessionEnds(1, SCOPE_ALL, "closed", 9_000_000)))
    (told,) = ask(replies, rig, AskAgent(1, A))
    assert isinstance(told, AgentRecord)
    assert (told.state, told.stale_since_us) == ("Available", 9_000_000)


def test_a_queue_is_counted_by_what_its_agents_are_held_in(rig: Rig, replies: Replies) -> None:
    held = [
        ("Available", None),
        ("Available", None),
        ("Available", "busy"),  # what the event bore counts, not what its state means
        ("Talking", None),
        ("Reserved", None),
        ("Wrapped Up", None),
        ("Not Available", None),
        ("Not Available", "offline"),
        ("Sleeping", None),  # a state that nobody mapped
    ]
    rig.begin()
    for number, (state, presence) in enumerate(held):
        rig.feed(
            event(1_001 + number, f"user-{number}", state, T0, queueId=QUEUE, presence=presence)
        )
    rig.feed(event(1_100, A, "Available", T0, queueId="elsewhere"), event(1_101, B))
    rig.end_history()
    agent = rig.agent("user-0")
    agent.state = UNKNOWN
    assert ask(replies, rig, AskQueue(1, QUEUE), AskQueue(2, "elsewhere"), AskQueue(3, "none")) == [
        QueueRecord(1, QUEUE, available=1, busy=4, other=3, unknown=1, stale_since_us=None),
        QueueRecord(2, "elsewhere", available=1, busy=0, other=0, unknown=0, stale_since_us=None),
        QueueRecord(3, "none", available=0, busy=0, other=0, unknown=0, stale_since_us=None),
    ]


def test_the_map_of_states_is_a_setting(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Sleeping", T0, queueId=QUEUE))
    counts = queue_counts(rig.shard.agent_table.by_id, {QUEUE}, {"Sleeping": "available"})
    assert counts == {QUEUE: (1, 0, 0, 0)}


def test_a_queue_is_looked_up_once_for_all_questions_of_a_batch(
    rig: Rig, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def counted(*given: object) -> dict[str, tuple[int, int, int, int]]:
        looks.append(given)
        return queue_counts(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(replies_module, "queue_counts", counted)
    rig.begin()
    rig.feed(event(1_001, A, queueId=QUEUE))
    assert len(ask(replies, rig, *(AskQueue(n, f"q{n % 3}") for n in range(30)))) == 30
    assert len(ask(replies, rig, AskAgent(1, A))) == 1
    assert len(looks) == 1


# -- watches -----------------------------------------------------------------------------------


def test_a_watched_transition_is_told_once_it_is_committed(rig: Rig, replies: Replies) -> None:
    rig.begin()
    assert ask(replies, rig, Watch(A, COMMAND)) == []
    rig.feed(event(1_001, A, "Talking", T0, presence="busy", correlationId=COMMAND))
    assert note(replies, rig) == [TransitionSeen(COMMAND, A, "Talking", "busy", T0_US)]
    assert replies.watches == 0


def test_each_renewal_tells_again_what_was_told_before(rig: Rig, replies: Replies) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0, correlationId=COMMAND))
    assert note(replies, rig) == []  # nobody watched yet
    shown = TransitionSeen(COMMAND, A, "Talking", None, T0_US)
    assert ask(replies, rig, Watch(A, COMMAND)) == [shown]
    assert ask(replies, rig, Watch(A, COMMAND)) == [shown]
    assert replies.watches == 0


def test_the_state_that_was_wanted_is_no_sign_without_the_id(rig: Rig, replies: Replies) -> None:
    rig.begin()
    ask(replies, rig, Watch(A, COMMAND))
    rig.feed(event(1_001, A, "Talking", T0, presence="busy", correlationId="another"))
    rig.feed(event(1_002, A, "Available", T1))
    assert note(replies, rig) == []
    assert replies.watches == 1


def test_an_id_that_another_agent_bears_confirms_nothing(rig: Rig, replies: Replies) -> None:
    rig.begin()
    ask(replies, rig, Watch(A, COMMAND))
    rig.feed(event(1_001, B, "Talking", T0, correlationId=COMMAND))
    assert note(replies, rig) == []
    assert ask(replies, rig, Watch(A, COMMAND)) == []


@pytest.mark.parametrize("cause", ["history", "late"])
def test_a_transition_that_a_history_tells_or_that_came_late_was_made_as_well(
    cause: str, rig: Rig, replies: Replies
) -> None:
    rig.begin()
    if cause == "late":
        rig.feed(event(1_002, A, "Available", T2))
    rig.feed(event(1_001, A, "Talking", T1, history=cause == "history", correlationId=COMMAND))
    assert rig.causes()[-1] == cause
    assert ask(replies, rig, Watch(A, COMMAND)) == []
    assert note(replies, rig) == [TransitionSeen(COMMAND, A, "Talking", None, T0_US + 1_000_000)]


def test_a_watch_that_is_not_renewed_is_forgotten(rig: Rig, replies: Replies) -> None:
    rig.begin()
    ask(replies, rig, Watch(A, COMMAND), Watch(B, "other"))
    rig.now_s += WATCH_LEASE_S - 1
    ask(replies, rig, Watch(A, COMMAND))
    rig.now_s += 1
    replies.forget_unrenewed(rig.now_s)
    assert replies.watches == 1
    rig.feed(
        event(1_001, A, "Talking", T0, correlationId=COMMAND),
        event(1_002, B, "Talking", T0, correlationId="other"),
    )
    assert [shown.user_id for shown in note(replies, rig)] == [A]


def test_a_restart_knows_the_correlated_transitions_of_its_journal(
    rig: Rig, replies: Replies
) -> None:
    rig.begin()
    rig.feed(
        event(1_001, A, "Talking", T0, correlationId=COMMAND),
        event(1_002, C, "Available", T0),
        event(1_003, B, "Talking", T1, presence="busy", correlationId="other"),
    )
    rig.commit(finish=True)  # what stands in the checkpoint is known as well
    rig.restart()
    fresh = Replies(PRESENCE_OF_STATE)
    assert note(fresh, rig) == []
    assert ask(fresh, rig, Watch(A, COMMAND), Watch(B, "other")) == [
        TransitionSeen(COMMAND, A, "Talking", None, T0_US),
        TransitionSeen("other", B, "Talking", "busy", T0_US + 1_000_000),
    ]


def test_what_was_not_committed_is_not_known_after_a_restart(rig: Rig, replies: Replies) -> None:
    rig.begin()
    rig.shard.take(batch([event(1_001, A, "Talking", T0, correlationId=COMMAND)]), rig.now_s)
    rig.shard.prepare(rig.now_s)  # and then killed
    rig.restart()
    note(replies, rig)
    assert ask(replies, rig, Watch(A, COMMAND)) == []


def test_only_the_newest_transitions_and_a_bounded_number_of_watches_are_kept(
    rig: Rig, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies_module, "CORRELATED_MAX", 3)
    monkeypatch.setattr(replies_module, "WATCHES_MAX", 2)
    rig.begin()
    for number in range(5):
        rig.feed(event(1_001 + number, f"u{number}", "Talking", T0, correlationId=f"c{number}"))
        note(replies, rig)
    shown = ask(replies, rig, *(Watch(f"u{number}", f"c{number}") for number in range(5)))
    assert [each.correlation for each in shown if isinstance(each, TransitionSeen)] == [
        "c2",
        "c3",
        "c4",
    ]
    ask(replies, rig, Watch("u7", "c7"))
    assert replies.watches == 2
