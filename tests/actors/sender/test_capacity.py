"""What a queue can spare: the analyzer's numbers, and who is about to leave it already."""

from __future__ import annotations

import pytest

from actors.genesys.presences import PRESENCES
from actors.messages.partition import shard_of
from actors.messages.queries import AskQueue
from actors.sender.capacity import LimitsAnalyzer, QueueCounts
from actors.sender.commands import Code, CommandStep
from actors.settings.sender import CapacitySettings, QueueLimits
from tests.actors.sender.around import SHARDS, WALL_US, Around

SINCE_US = WALL_US + 1_234_567
SINCE = "2026-01-01T00:00:01.234Z"
MINIMUM_ONE = {"default": {"minimum_available": 1}}


@pytest.mark.parametrize(
    ("available", "busy", "departures", "limits", "reason"),
    [
        (2, 0, 0, (1, 1.0), None),
        (1, 0, 0, (1, 1.0), "0 would remain, 1 required"),
        (2, 0, 1, (1, 1.0), "0 would remain, 1 required"),
        (3, 0, 1, (1, 1.0), None),
        (0, 0, 0, (1, 1.0), "0 would remain, 1 required"),
        (0, 0, 3, (0, 1.0), None),
        (3, 8, 0, (0, 0.8), None),
        (3, 8, 1, (0, 0.8), "utilisation would be 88.9%, at most 80% allowed"),
        (1, 1, 0, (0, 0.99), "utilisation would be 100.0%, at most 99% allowed"),
        (1, 1, 0, (0, 1.0), None),
        (5, 0, 0, (0, 0.0), None),
        (1, 0, 0, (0, 0.0), None),
        (5, 1, 0, (0, 0.0), "utilisation would be 20.0%, at most 0% allowed"),
    ],
)
def test_the_numbers(
    available: int, busy: int, departures: int, limits: tuple[int, float], reason: str | None
) -> None:
    """`limits`: so many available at least, so much utilisation at most."""
    minimum, maximum = limits
    limit = QueueLimits(minimum_available=minimum, maximum_utilisation=maximum)
    settings = CapacitySettings(queues={"q": limit})
    counts = QueueCounts(available, busy, other=9, unknown=9, stale_since_us=None)
    now = f"queue 'q': {available} available, {busy} busy, {departures} about to leave; "
    expected = None if reason is None else now + reason
    assert LimitsAnalyzer().judge("q", counts, departures, settings) == expected
    assert LimitsAnalyzer().judge("other", counts, departures, settings) is None


@pytest.mark.parametrize(("stale_since_us", "since"), [(SINCE_US, SINCE), (0, "the start")])
def test_counts_that_are_not_confirmed_spare_nobody(stale_since_us: int, since: str) -> None:
    counts = QueueCounts(99, 0, 0, 0, stale_since_us)
    assert LimitsAnalyzer().judge("q", counts, 0, CapacitySettings()) == (
        f"queue 'q': the agent counts are not confirmed since {since}"
    )


class NeverOnSundays:
    """Somebody's own analyzer."""

    def matters(self, queue: str, limits: CapacitySettings) -> bool:
        return True

    def judge(
        self, queue: str, counts: QueueCounts, departures: int, limits: CapacitySettings
    ) -> str | None:
        return f"{queue}: never on Sundays"


def test_an_analyzer_can_be_brought_along() -> None:
    around = Around(NeverOnSundays())
    around.agent("ann", queue="support")
    around.counts("support", available=99)
    assert around.refused(around.order("ann")) == (Code.CAPACITY, "support: never on Sundays")


def question_about_queue(around: Around) -> int:
    """The only one that was asked last."""
    numbers = [q.question for _, q in around.asked if isinstance(q, AskQueue)]
    assert len(numbers[-SHARDS:]) == SHARDS
    assert len(set(numbers[-SHARDS:])) == 1
    return numbers[-1]


def test_a_queue_that_cannot_spare_the_agent_refuses_and_force_overrides() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue="support")
    around.counts("support", available=1, busy=3)
    command_id = around.order("ann", "break", forced=True)
    assert around.command(command_id).step is CommandStep.SENT
    command_id = around.order("ann", "busy", key="k")
    detail = "queue 'support': 1 available, 3 busy, 1 about to leave; 0 would remain, 1 required"
    assert around.refused(command_id) == (Code.CAPACITY, detail)
    assert around.command(command_id).key is None
    assert around.told(command_id).retry_after_ms == 5_000


def test_force_over_capacity_is_audited_with_the_numbers() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue="support")
    around.counts("support", available=1)
    around.order("ann", "busy", forced=True)
    assert [each.detail for each in around.records if each.step == "validated"] == [
        "forced: queue 'support': 1 available, 0 busy, 0 about to leave; 0 would remain, 1 required"
    ]


def test_trap_26_two_commands_cannot_both_take_the_last_two_available_agents() -> None:
    """Both are asked for before either is sent, and the counts hold both agents until the stream
    has shown a departure."""
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue="support")
    around.agent("bob", queue="support")
    around.counts("support", available=2)
    around.silent = {0, 1}
    first, second = around.order("ann"), around.order("bob")
    around.silent = set()
    around.pass_s(1.0)
    assert around.command(first).step is CommandStep.SENT
    assert around.refused(second) == (
        Code.CAPACITY,
        "queue 'support': 2 available, 0 busy, 1 about to leave; 0 would remain, 1 required",
    )
    assert around.machine.departures == 1


def test_a_departure_counts_until_its_end_and_then_the_stream_has_it() -> None:
    around = Around(capacity=MINIMUM_ONE)
    for user_id in ("ann", "bob"):
        around.agent(user_id, queue="support")
    around.counts("support", available=2)
    first = around.order("ann")
    around.acknowledge(first)
    assert around.command(around.order("bob")).code == Code.CAPACITY
    around.show(first)
    assert around.machine.departures == 0
    around.counts("support", available=1, busy=1)
    assert around.command(around.order("bob")).code == Code.CAPACITY
    around.counts("support", available=2, busy=1)
    assert around.command(around.order("bob")).step is CommandStep.SENT


def test_a_departure_that_is_refused_frees_its_place() -> None:
    around = Around(capacity=MINIMUM_ONE)
    for user_id in ("ann", "bob"):
        around.agent(user_id, queue="support")
    around.counts("support", available=2)
    around.decline(around.order("ann"), 500)
    assert around.command(around.order("bob")).step is CommandStep.SENT


def test_a_departure_that_ends_while_counts_are_gathered_still_counts() -> None:
    """Shard 0 counted ann as available before her transition; shard 1 answers after her end."""
    around = Around(capacity=MINIMUM_ONE)
    for user_id in ("ann", "bob"):
        around.agent(user_id, queue="support", presence="available")
    around.counts("support", available=2)
    first = around.order("ann")
    around.acknowledge(first)
    around.uncounting = {1}
    second = around.order("bob")
    assert around.command(second).step is CommandStep.ACCEPTED
    around.show(first)
    assert around.command(first).step is CommandStep.CONFIRMED
    around.uncounting = set()
    around.answer(1, around.queues[1, "support"]._replace(question=question_about_queue(around)))
    assert around.refused(second)[0] == Code.CAPACITY


def test_a_shard_that_does_not_count_is_refused_after_2_s() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue="support")
    around.counts("support", available=5)
    around.silent = {1 - shard_of("ann", SHARDS)}
    command_id = around.order("ann", forced=True)
    around.pass_s(2.1)
    assert around.refused(command_id) == (
        Code.UNAVAILABLE,
        "not every shard counted queue 'support' in time",
    )
    assert around.machine.due_s is None


def test_stale_counts_refuse() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue="support")
    around.counts("support", available=5, stale_since_us=SINCE_US)
    assert around.refused(around.order("ann")) == (
        Code.CAPACITY,
        f"queue 'support': the agent counts are not confirmed since {SINCE}",
    )


@pytest.mark.parametrize(
    ("held", "to_state", "queue"),
    [
        ("Talking", "break", "support"),
        ("Available", "available", "support"),
        ("Available", "break", None),
    ],
)
def test_what_takes_nobody_out_of_available_is_not_counted(
    held: str, to_state: str, queue: str | None
) -> None:
    around = Around(capacity=MINIMUM_ONE, transitions=dict.fromkeys(PRESENCES, PRESENCES))
    around.agent("ann", held, queue=queue)
    assert around.command(around.order("ann", to_state)).step is CommandStep.SENT
    assert not any(isinstance(each.question, AskQueue) for each in around.asked)
    assert around.machine.departures == 0


def test_a_queue_without_a_limit_costs_no_question() -> None:
    around = Around(capacity={"queues": {"sales": {"maximum_utilisation": 0.8}}})
    around.agent("ann", queue="support")
    assert around.command(around.order("ann")).step is CommandStep.SENT
    assert not any(isinstance(each.question, AskQueue) for each in around.asked)
    around.agent("bob", queue="sales")
    around.counts("sales", available=2, busy=4)
    assert around.command(around.order("bob")).step is CommandStep.SENT
    code, detail = around.refused(around.order("bob"))
    assert code == Code.CAPACITY
    assert detail == (
        "queue 'sales': 2 available, 4 busy, 1 about to leave;"
        " utilisation would be 100.0%, at most 80% allowed"
    )


def test_many_commands_for_one_queue_share_one_question() -> None:
    around = Around(capacity=MINIMUM_ONE, permit_wait_s=10)
    around.counts("support", available=50)
    around.uncounting = {0}
    for number in range(20):
        around.agent(f"agent {number}", queue="support")
        around.order(f"agent {number}")
    number = question_about_queue(around)
    assert around.machine.validating == 20
    around.answer(0, around.queues[0, "support"]._replace(question=number))
    assert (around.machine.validating, around.machine.departures) == (0, 20)


# -- an agent of several queues --------------------------------------------------------------------

BOTH = '["sales","support"]'


def test_a_command_is_refused_for_each_queue_of_its_agent_that_would_fall_short() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue='["billing","sales","support"]')
    around.counts("billing", available=9)
    around.counts("sales", available=1)
    around.counts("support", available=1, busy=3)
    assert around.refused(around.order("ann")) == (
        Code.CAPACITY,
        (
            "queue 'sales': 1 available, 0 busy, 0 about to leave; 0 would remain, 1 required; "
            "queue 'support': 1 available, 3 busy, 0 about to leave; 0 would remain, 1 required"
        ),
    )
    assert around.machine.departures == 0


@pytest.mark.parametrize("short", ["sales", "support"])
def test_whichever_of_the_queues_is_short_it_refuses(short: str) -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue=BOTH)
    for queue in ("sales", "support"):
        around.counts(queue, available=1 if queue == short else 9)
    code, detail = around.refused(around.order("ann"))
    assert (code, detail.startswith(f"queue {short!r}: ")) == (Code.CAPACITY, True)


def test_who_leaves_leaves_each_of_their_queues() -> None:
    """Bob and Cem are each in one of the queues from which Ann has taken the last but one."""
    around = Around(capacity=MINIMUM_ONE)
    for user_id, queue in (("ann", BOTH), ("bob", "sales"), ("cem", "support")):
        around.agent(user_id, queue=queue)
    around.counts("sales", available=2)
    around.counts("support", available=2)
    first = around.order("ann")
    assert around.command(first).step is CommandStep.SENT
    assert around.command(first).queue == BOTH
    assert around.refused(around.order("bob"))[0] == Code.CAPACITY
    assert around.refused(around.order("cem"))[0] == Code.CAPACITY
    around.decline(first, 500)
    assert around.machine.departures == 0
    assert around.command(around.order("bob")).step is CommandStep.SENT


def test_a_queue_that_could_have_spared_the_agent_keeps_no_departure_of_who_was_refused() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue=BOTH)
    around.agent("bob", queue="sales")
    around.counts("sales", available=2)
    around.counts("support", available=1)
    assert around.refused(around.order("ann"))[0] == Code.CAPACITY
    assert around.command(around.order("bob")).step is CommandStep.SENT


def test_a_successor_knows_that_an_agent_is_leaving_each_of_their_queues() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue=BOTH)
    around.agent("cem", queue="support")
    around.counts("sales", available=2)
    around.counts("support", available=2)
    around.order("ann")
    around.start()
    around.pass_s(1.0)
    assert around.command(around.order("cem")).code in {Code.CAPACITY, Code.RATE}


def test_as_long_as_queues_are_not_known_the_least_is_counted_and_said() -> None:
    limits = CapacitySettings(default=QueueLimits(minimum_available=1, maximum_utilisation=0.5))
    judge = LimitsAnalyzer().judge
    assert judge("q", QueueCounts(9, 2, 0, 0, None, unplaced=1), 0, limits) is None
    short = judge("q", QueueCounts(1, 0, 0, 0, None, unplaced=7), 0, limits)
    assert short is not None
    assert "the queues of 7 agents are not known yet" in short
    busy = judge("q", QueueCounts(9, 2, 0, 0, None, unplaced=7), 0, limits)
    assert busy is not None
    assert "utilisation would be" in busy


def test_an_agent_whose_queues_are_not_known_is_not_taken_out_of_unknown_ones() -> None:
    around = Around(capacity=MINIMUM_ONE)
    around.agent("ann", queue=None, is_placed=False)
    assert around.refused(around.order("ann")) == (
        Code.CAPACITY,
        "the agent's queues are not known yet",
    )
    unlimited = Around()
    unlimited.agent("ann", queue=None, is_placed=False)
    assert unlimited.command(unlimited.order("ann")).step is CommandStep.SENT
