"""The hub: who is told what, once, and who has to begin anew. (That all readers end equal to the
model is held by tests/models/test_stream_model.py.)"""

from __future__ import annotations

import pytest

from actors.web import board, hub
from actors.web.hub import EVERYTHING, RESYNC_ID, Hub, StreamFilter, Subscriber, TooManyFiltersError
from actors.web.names import Names
from tests.actors.web.telling import START_US, Page, Told, entry, events_in

NORTH = StreamFilter(queues=frozenset({"north"}))


class Said:
    """An event that counts how often it is encoded."""

    def __init__(self, size: int = 1, padding: int = 0) -> None:
        self.size = size
        self.asked: list[StreamFilter] = []
        self._data = b'{"changes":[' + b" " * padding + b"]}"

    def data_for(self, wanted: StreamFilter) -> bytes:
        self.asked.append(wanted)
        return self._data


def attach(to: Hub, wanted: StreamFilter = EVERYTHING, last_id: str | None = None) -> Subscriber:
    return to.attach(wanted, last_id, lambda: None, b"{}")


def kinds(reader: Subscriber) -> list[tuple[str, str]]:
    return [(event.kind, event.id) for event in events_in(reader.take())]


def test_an_event_is_encoded_once_for_all_who_want_the_same() -> None:
    tested, said = Hub("life"), Said()
    readers = [attach(tested, wanted) for wanted in (EVERYTHING, NORTH) * 100]
    tested.publish(said)
    assert sorted(said.asked) == sorted([EVERYTHING, NORTH])
    assert {tuple(kinds(each)) for each in readers} == {
        (("health", "life-0"), ("changes", "life-1"))
    }


def test_an_event_that_nobody_reads_is_not_encoded() -> None:
    tested, said = Hub("life"), Said()
    tested.publish(said)
    assert said.asked == []
    assert kinds(attach(tested, last_id="life-0")) == [("changes", "life-1"), ("health", "life-1")]


@pytest.mark.parametrize(
    "last_id", ["", "life", "life-", "life-9", "other-1", "life--1", RESYNC_ID, "life-" + "1" * 40]
)
def test_an_id_that_is_not_known_is_told_to_begin_anew(last_id: str) -> None:
    tested = Hub("life")
    tested.publish(Said())
    reader = attach(tested, last_id=last_id)
    assert kinds(reader) == [("resync", RESYNC_ID)]
    assert reader.is_over
    assert (tested.readers, tested.resyncs) == (0, 1)


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "EVENTS_KEPT_MAX", 3)
    monkeypatch.setattr(hub, "CHANGES_KEPT_MAX", 10)
    tested = Hub("life")
    for _ in range(5):
        tested.publish(Said())
    assert attach(tested, last_id="life-1").is_over
    assert not attach(tested, last_id="life-2").is_over
    tested.publish(Said(size=9))
    assert attach(tested, last_id="life-3").is_over
    assert not attach(tested, last_id="life-4").is_over


def test_a_reader_that_stops_is_owed_no_more_than_the_bound() -> None:
    tested, padding = Hub("life"), hub.READER_BYTES_MAX // 3
    slow, fast = attach(tested), attach(tested)
    for _ in range(4):
        tested.publish(Said(padding=padding))
        assert kinds(fast)
        assert slow.unsent_bytes <= hub.READER_BYTES_MAX
    assert slow.is_over
    assert kinds(slow) == [("resync", RESYNC_ID)]
    assert tested.readers == 1
    assert not fast.is_over


def test_whoever_missed_too_much_begins_anew_rather_than_being_sent_it() -> None:
    tested = Hub("life")
    for _ in range(4):
        tested.publish(Said(padding=hub.READER_BYTES_MAX // 3))
    assert kinds(attach(tested, last_id="life-0")) == [("resync", RESYNC_ID)]
    assert kinds(attach(tested, last_id="life-3"))[0] == ("changes", "life-4")


def test_so_many_filters_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "FILTERS_MAX", 2)
    tested = Hub("life")
    reader = attach(tested, NORTH)
    attach(tested)
    attach(tested, NORTH)
    with pytest.raises(TooManyFiltersError):
        attach(tested, StreamFilter(states=frozenset({"Talking"})))
    assert tested.readers == 3
    assert not reader.is_over


def test_a_hub_that_closes_ends_every_stream_behind_what_was_said() -> None:
    tested = Hub("life")
    reader = attach(tested)
    tested.publish(Said())
    tested.close()
    assert reader.is_over
    assert [kind for kind, _ in kinds(reader)] == ["health", "changes"]


# -- the board -------------------------------------------------------------------------------------


@pytest.fixture
def told() -> Told:
    told = Told()
    told.hold(*(entry(n, f"user-{n}", "Available", "north") for n in range(1, 9)))
    told.session()
    told.tick()
    return told


def test_a_tick_in_which_nothing_happens_says_nothing_but_life_each_second(told: Told) -> None:
    page = Page(told)
    page.read()
    told.tick(0.5)
    assert page.read() == []
    told.tick(0.6)
    assert [event.kind for event in page.read()] == ["health"]


def test_a_session_that_is_lost_is_said_at_once_and_in_few_words(told: Told) -> None:
    page = Page(told)
    page.read()
    told.session(START_US)
    told.tick()
    [event] = page.read()
    assert (event.data["stale"], event.data["changes"]) == (1, [])
    assert event.data["health"]["live"] is False
    assert event.data["health"]["stale_since"] == START_US // 1_000
    assert all(agent[6] == 1 for agent in page.agents.values())
    assert all(agent[6] == 1 for agent in told.snapshot()["agents"])


def test_an_event_has_what_changed_and_the_counts_of_it(told: Told) -> None:
    page = Page(told)
    page.read()
    told.move("user-3", "Talking", "south")
    told.tick()
    [event] = page.read()
    at = told.clock.wall_us() // 1_000
    assert event.data == {
        "at": at,
        "changes": [["user-3", None, "Talking", at - 100, "south", None, 0, ["south"]]],
        "last": [["user-3", "Available", "Talking", at - 100, "south", "live", ["south"]]],
        "by_state": {"Available": 7, "Talking": 1},
        "queues": {"north": {"Available": 7}, "south": {"Talking": 1}},
        "queues_unknown": 0,
        "health": {
            "live": True, "lagging": False, "stale_since": None, "stale_agents": 0, "reasons": [],
        },
    }  # fmt: skip


def test_an_agent_counts_in_each_of_its_queues_and_is_told_to_who_wants_one_of_them(
    told: Told,
) -> None:
    page, north = Page(told), Page(told, NORTH)
    page.read()
    north.read()
    told.move("user-3", "Talking", '["north","south"]')
    told.tick()
    [event] = page.read()
    assert event.data["changes"][0][7] == ["north", "south"]
    assert event.data["queues"]["south"] == {"Talking": 1}
    assert event.data["queues"]["north"]["Talking"] == 1
    told.move("user-3", "Available", '["north","south"]')
    told.tick()
    [event], [wanted] = page.read(), north.read()[-1:]
    assert event.data["changes"][0][7] is None, "they are as they were"
    assert wanted.data["changes"][0][7] == ["north", "south"], "whoever forgot it is told"
    assert page.agents["user-3"][4] == north.agents["user-3"][4] == ["north", "south"]


def test_what_is_too_much_for_one_tick_waits_and_the_page_says_that_it_lags(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "CHANGES_MAX", 3)
    page = Page(told)
    page.read()
    for n in range(1, 9):
        told.move(f"user-{n}", "Talking")
    sizes, lagging = [], []
    for _ in range(3):
        told.tick()
        [event] = page.read()
        sizes.append(len(event.data["changes"]))
        lagging.append(event.data["health"]["lagging"])
    assert (sizes, lagging) == ([3, 3, 2], [True, True, False])
    assert page.resyncs == 0


def test_agents_who_are_gone_make_everyone_begin_anew(told: Told) -> None:
    page = Page(told)
    page.read()
    told.hold(entry(1, "user-1", "Available", "north"))
    told.tick()
    assert page.read()[0].kind == "resync"
    assert set(page.agents) == {"user-1"}


def test_a_name_that_was_learnt_is_told_and_that_of_a_queue_makes_everyone_begin_anew(
    told: Told,
) -> None:
    page = Page(told)
    page.read()
    told.board.name_all(Names({"user-2": "Bo"}))
    told.tick()
    [event] = page.read()
    assert [change[:2] for change in event.data["changes"]] == [["user-2", "Bo"]]
    told.board.name_all(Names({"user-2": "Bo"}, {"north": "North"}))
    assert page.read()[0].kind == "resync"
    assert told.snapshot()["queues"] == [["north", "North"]]


def test_queues_of_the_past_do_not_fill_the_snapshot(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "SPARE_QUEUES_MAX", 5)
    for n in range(100):
        told.move("user-1", "Talking", f"made-up-{n}")
        told.tick()
        assert len(told.snapshot()["queues"]) <= 5 + 2 * 2 + 1
    page = Page(told)
    assert page.agents["user-1"][4] == ["made-up-99"]
    assert page.agents["user-2"][4] == ["north"]


def test_transitions_a_second_are_those_of_the_last_ten(told: Told) -> None:
    for _ in range(300):
        told.move("user-1", "Talking")
        told.tick()
    assert told.board.summary()["transitions_per_s"] == 10.0
    for _ in range(20):
        told.tick(1)
    assert told.board.summary()["transitions_per_s"] == 0.0
