"""What the simulation found about gateway epochs, each in the fewest steps."""

from __future__ import annotations

from actors.messages.control import Gap, SessionBegins, SessionEnds
from actors.receiver import signals
from actors.receiver.numbering import kept_epoch
from actors.receiver.signals import Close
from tests.actors.receiver.play import resumed


def test_a_line_of_the_old_numbering_ends_before_a_session_of_the_new_one_begins() -> None:
    """Else what it still brings would count as routed in the new numbering, above its newest."""
    play = resumed()
    play.serve(newest=5000)
    old = play.line
    play.wait(10)
    play.tell(signals.TokenRenewed())
    play.wait(0.25)
    play.begin(newest=7, name="e2")
    play.retry()
    done = play.begin(newest=7, name="e2")
    records = [action.record for action in done if isinstance(action, signals.Write)]
    ends = next(i for i, record in enumerate(records) if isinstance(record, SessionEnds))
    begins = next(i for i, record in enumerate(records) if isinstance(record, SessionBegins))
    assert ends < begins
    assert Close(old, 1000) in done
    assert [line.epoch for line in play.machine._open_lines()] == [4]


def test_the_gap_of_a_new_numbering_begins_where_neighbours_may_be_missing() -> None:
    play = resumed(watermark=5000)
    play.begin(newest=7, name="e2")
    play.retry()
    play.begin(newest=7, name="e2")
    (gap,) = play.written(Gap)
    assert (gap.epoch, gap.first) == (3, 4000)


def test_an_epoch_begun_in_the_rings_but_not_kept_goes_on_under_its_number() -> None:
    assert kept_epoch(1, "e1", [(1, 500), (1, 400)]) == (1, "e1")
    assert kept_epoch(1, "e1", [(2, 0), (1, 400)]) == (2, "")
    assert kept_epoch(0, "", []) == (0, "")
    assert kept_epoch(3, "e3", [(2, 9), (0, 0)]) == (3, "e3")


def test_a_frame_that_breaks_the_protocol_is_found_behind_a_gap() -> None:
    """Else it would be looked for in the gap, one try after the other, until all are spent."""
    play = resumed()
    for _ in range(3):
        play.begin(newest=6000)
        play.tell(signals.GapSeen(play.line, 4000, 5500))
        play.tell(signals.Lost(play.line, 1002, True, highest=0, unbroken=5500))
        play.retry()
    play.begin(newest=6000)
    assert [(gap.first, gap.last) for gap in play.written(Gap) if "breaks" in gap.reason] == [
        (5501, 5501)
    ]


def test_another_such_frame_is_skipped_alone_again() -> None:
    play = resumed(marks=((3, 5000), (3, 5000)))
    for place in (5000, 8000):
        for _ in range(3):
            play.begin(newest=9000)
            play.tell(signals.EventSeen(play.line, 4000, False))
            play.tell(signals.Lost(play.line, 1002, True, highest=place, unbroken=place))
            play.retry()
    play.begin(newest=9000)
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(5001, 5001), (8001, 8001)]


def test_an_old_event_out_of_turn_is_no_sign_of_a_replay() -> None:
    play = resumed()
    play.begin(newest=6000)
    play.tell(signals.EventSeen(play.line, 7, False))
    play.tell(signals.EventSeen(play.line, 6001, False))
    (gap,) = play.written(Gap)
    assert (gap.first, gap.last) == (4000, 6000)


def test_the_gap_of_an_old_numbering_is_told_before_the_new_one_begins() -> None:
    """A journal that has the new one and not the gap would never be told of it."""
    play = resumed()
    play.begin(newest=7, name="e2")
    play.retry()
    done = play.begin(newest=7, name="e2")
    records = [action.record for action in done if isinstance(action, signals.Write)]
    assert [type(record) for record in records] == [Gap, SessionBegins]


def test_nothing_is_skipped_that_has_not_happened_yet() -> None:
    play = resumed(marks=((3, 5000), (3, 5000)))
    for place in (5000, 5001):
        for _ in range(3):
            play.begin(newest=5005)
            play.tell(signals.EventSeen(play.line, 4000, False))
            play.tell(signals.Lost(play.line, 1002, True, highest=place, unbroken=place))
            play.retry()
    play.begin(newest=5005)
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(5001, 5001), (5002, 5005)]
