"""StreamPlaces: tokens before visitors, nobody alone; a session's end is that of its streams."""

from __future__ import annotations

from actors.web.stream_places import OpenStream, StreamOwner, StreamPlaces

MAX = 10
WALL, OPS = StreamOwner("token:wall", True), StreamOwner("token:ops", True, "a-session")
VISITOR = StreamOwner("127.0.0.1", False)


class Streams:
    """Opens them, and notes which were ended for somebody else."""

    def __init__(self) -> None:
        self.places = StreamPlaces(MAX)
        self.ended: list[int] = []

    def open(self, owner: StreamOwner, number: int = 0) -> OpenStream | None:
        if not self.places.has_room_for(owner):
            return None
        return self.places.enter(owner, lambda: self.ended.append(number))


def test_one_caller_never_has_all_places() -> None:
    for owner in (VISITOR, WALL):
        streams = Streams()
        assert sum(streams.open(owner) is not None for _ in range(MAX * 2)) == 8
        assert streams.open(OPS) is not None


def test_whoever_has_a_token_goes_before_who_has_not() -> None:
    streams = Streams()
    for number in range(5):
        streams.open(VISITOR, number)
        streams.open(StreamOwner("127.0.0.2", False), number + 5)
    assert len(streams.places) == MAX
    assert streams.open(StreamOwner("127.0.0.3", False)) is None
    assert streams.open(WALL) is not None
    assert streams.ended == [0]
    assert len(streams.places) == MAX


def test_no_token_takes_the_place_of_another() -> None:
    streams = Streams()
    for _ in range(5):
        streams.open(WALL)
        streams.open(OPS)
    assert streams.open(StreamOwner("token:third", True)) is None
    assert streams.ended == []


def test_who_signs_out_reads_on_in_no_other_window() -> None:
    streams = Streams()
    for number in range(3):
        streams.open(OPS, number)
    streams.open(StreamOwner("token:ops", True, "another"), 9)
    streams.open(WALL, 10)
    streams.places.end_session("a-session")
    assert streams.ended == [0, 1, 2]
    assert len(streams.places) == 2


def test_a_place_is_left_once() -> None:
    streams = Streams()
    place = streams.open(WALL)
    assert place is not None
    streams.places.leave(place)
    streams.places.leave(place)
    assert len(streams.places) == 0
    assert streams.places.has_room_for(WALL)


def test_even_one_place_is_somebodys() -> None:
    places = StreamPlaces(1)
    assert places.has_room_for(VISITOR)
    places.enter(VISITOR, lambda: None)
    assert not places.has_room_for(VISITOR)
    assert places.has_room_for(WALL)
