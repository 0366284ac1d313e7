"""Fault outcomes: what became of each fault, as far as a ledger can tell."""

from __future__ import annotations

from typing import Any

from tools.fake_gateway.wsp.fault_outcomes import FaultOutcomes

S = 1_000_000


def told(*lines: dict[str, Any]) -> dict[str, Any]:
    """The one trouble that the lines tell of; socket 1 stands from the start."""
    outcomes = FaultOutcomes()
    for line in ({"kind": "subscribed", "socket": 1, "at_us": 0}, *lines):
        outcomes.add(line)
    (trouble,) = outcomes.report()
    return trouble


def fault(what: str, **more: Any) -> dict[str, Any]:
    return {"kind": "fault", "what": what, "sockets": [1], "at_us": 10 * S, "seconds": 0.0, **more}


def socket(number: int, at_s: float) -> dict[str, Any]:
    return {"kind": "subscribed", "socket": number, "at_us": round(at_s * S)}


def closed(at_s: float, reason: str) -> dict[str, Any]:
    return {"kind": "closed", "socket": 1, "at_us": round(at_s * S), "reason": reason}


def test_a_cut_says_when_somebody_was_back() -> None:
    trouble = told(fault("drop", detail={"code": 7}), socket(2, 10.5))
    assert trouble == {
        "kind": "drop",
        "at_us": 10 * S,
        "detail": {"code": 7},
        "became": "reconnected",
        "back_s": 0.5,
    }
    assert told(fault("close"))["became"] == "nobody came back"
    assert told(fault("close", sockets=[]))["became"] == "nobody was there"


def test_a_socket_that_was_there_before_is_nobody_who_came_back() -> None:
    assert told(fault("drop", sockets=[1, 2]), socket(2, 10.0), socket(3, 12.0))["back_s"] == 2.0


def test_a_broken_frame_ends_a_session_or_not() -> None:
    ended = told(fault("oversized"), closed(10.1, "closed by the client: 1009"), socket(2, 11.0))
    assert (ended["became"], ended["back_s"]) == ("ended by the runtime", 1.0)
    torn = told(fault("poison"), closed(10.1, "lost"), socket(2, 11.0))
    assert (torn["became"], torn["back_s"]) == ("ended by the runtime", 1.0)
    later = told(fault("malformed"), closed(12.0, "closed by the client: 1000"), socket(2, 13.0))
    assert (later["became"], later["back_s"]) == ("the session went on", None)
    other = told(fault("malformed"), closed(10.1, "dropped by the gateway"), socket(2, 13.0))
    assert other["became"] == "the session went on"


def test_a_held_socket_goes_on() -> None:
    assert told(fault("stall", seconds=3.0))["became"] == "held, then went on"


def test_refusals_count_when_somebody_comes() -> None:
    refused = [{"kind": "refused", "gate": "handshake", "at_us": n * S} for n in (5, 11, 12)]
    met = told(fault("refuse"), *refused, socket(2, 13.0))
    assert (met["became"], met["back_s"]) == ("2 refused", 2.0)
    assert told(fault("refuse-tokens"), *refused, socket(2, 13.0))["became"] == "nobody came"


def test_a_short_retention_counts_the_gaps_in_its_time() -> None:
    gaps = [{"kind": "gap", "at_us": n * S, "socket": 2} for n in (9, 11, 16)]
    assert told(fault("retention", seconds=5.0), *gaps)["became"] == "1 resumes met a gap"
    assert told(fault("retention"), *gaps)["became"] == "2 resumes met a gap"


def presence(what: str, at_s: float, number: int = 1) -> dict[str, Any]:
    return {"kind": f"presence-{what}", "socket": number, "at_us": round(at_s * S)}


def test_a_presence_socket_that_was_taken_away_says_when_another_one_was_bound() -> None:
    begin = presence("bound", 1.0)
    other = told(begin, socket(2, 10.2), fault("presence-drop"), presence("bound", 10.5, 2))
    assert (other["became"], other["back_s"]) == ("bound again", 0.5)
    gone = told(begin, fault("presence-close"), socket(2, 11.0))
    assert (gone["became"], gone["back_s"]) == ("the socket was not replaced", None)
    assert told(begin, fault("presence-stall", sockets=[]))["became"] == "nobody was there"


def test_refusals_beside_the_stream_count_when_somebody_comes() -> None:
    def refused(gate: str) -> dict[str, Any]:
        return {"kind": "refused", "gate": gate, "at_us": 11 * S}

    met = told(fault("refuse-presence"), refused("presence"), presence("bound", 12.0, 2))
    assert (met["became"], met["back_s"]) == ("1 refused", 1.0)
    for gate in ("users", "webhooks"):
        met = told(fault(f"refuse-{gate}"), refused(gate), socket(2, 12.0))
        assert (met["became"], met["back_s"]) == ("1 refused", None)
        assert told(fault(f"refuse-{gate}"), refused("presence"))["became"] == "nobody came"


def test_what_waits_for_an_update_a_look_up_or_a_binding_says_whether_one_came() -> None:
    for what, came, line in (
        ("ack-missing", "update", {"kind": "update", "at_us": 11 * S}),
        ("slow-users", "look-up", {"kind": "look-up", "at_us": 11 * S}),
        ("bind-missing", "binding", presence("opened", 11.0)),
    ):
        assert told(fault(what), line)["became"] == f"met by the next {came}"
        assert told(fault(what), {**line, "at_us": 9 * S})["became"] == "nobody came"


def test_what_waits_for_the_next_subscription_says_whether_one_came() -> None:
    assert told(fault("ignore-sequence"))["became"] == "nobody resumed"
    ignored = {"kind": "ignored", "at_us": 11 * S, "socket": 2}
    assert told(fault("ignore-sequence"), ignored)["became"] == "a resume was ignored"
    assert told(fault("omit-agents"))["became"] == "nobody came"
    assert told(fault("omit-agents"), socket(2, 11.0))["became"] == "met by the next history"
