"""VariedFrames: event frames as the platform may write them as well (protocol.md §4).

Works on what is about to be put on a socket; knows no transport. Only the newest frame of an agent
is written otherwise, so that its time names its event: the ledger says which one and how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson

from tools.fake_gateway.cloud.definitions import AVAILABLE, DEFINITIONS, OFFLINE
from tools.fake_gateway.cloud.organisation import CloudOrganisation, iso_time
from tools.fake_gateway.cloud.variations import FRAMES, Variations
from tools.fake_gateway.cloud.varied_answers import BREAKS, FAR_TIMES, MARK, Note
from tools.fake_gateway.wire import server_frame

Event = dict[str, Any]
Variant = list[bytes]  # the texts to be sent instead
AHEAD = timedelta(hours=1)
TRIES_MAX = 8  # frames of one write that are looked at for one variation
_NAMES = tuple(one.name for one in FRAMES)
_CONTENT = ("several-queues", "broken-message", "odd-part", "odd-time", "tie")
_ACTIVITY = b'.activity","'


class VariedFrames:
    """`is_alone`: whether an agent is heard of on no other channel."""

    def __init__(
        self,
        variations: Variations,
        note: Note,
        organisation: CloudOrganisation,
        is_alone: Callable[[int], bool],
    ) -> None:
        self._variations = variations
        self._note = note
        self._organisation = organisation
        self._is_alone = is_alone
        self._rng = variations.rng
        self._makers: dict[str, Callable[[Event, int, int], Variant | None]] = {
            "optional-part": self._optional,
            "several-queues": self._queues,
            "broken-message": self._broken,
            "odd-part": self._odd_part,
            "odd-time": self._odd_time,
            "foreign-case": self._foreign_case,
            "tie": self._tie,
        }
        self.strays = 0

    def vary(self, frames: bytes, now_s: float) -> bytes:
        """A write of whole event frames; mostly as it is."""
        due = [name for name in _NAMES if self._variations.owed(name, now_s)]
        if not due and not self._variations.owed("other-source", now_s):
            return frames
        texts = list(split(frames))
        places = [place for place, text in enumerate(texts) if _ACTIVITY in text[:120]]
        self._rng.shuffle(places)
        instead: dict[int, Variant] = {}
        for name in self._variations.shuffled(due):
            for place in places[:TRIES_MAX]:
                if place not in instead and (found := self._variant(name, texts[place])):
                    self._variations.take(name, now_s)
                    instead[place] = found
                    break
        if places and self._variations.take("other-source", now_s):
            stray = self._stray(texts[places[0]])
            instead[places[0]] = [*instead.get(places[0], [texts[places[0]]]), stray]
        if not instead:
            return frames
        return b"".join(
            server_frame(one)
            for place, text in enumerate(texts)
            for one in instead.get(place, (text,))
        )

    def _variant(self, name: str, text: bytes) -> Variant | None:
        event = orjson.loads(text)
        agent = self._organisation.agents.get(event["eventBody"]["id"])
        if agent is None:
            return None
        held = self._organisation.activity.held(agent)
        newest_ms = max(held.presence_ms, held.routing_ms, held.away_ms, held.queues_ms)
        if iso_time(newest_ms) not in _times(event["eventBody"]):
            return None  # a copy, or somebody who has changed since
        if name in _CONTENT and not self._is_alone(agent):
            return None  # another channel would tell it as it is
        return self._makers[name](event, agent, newest_ms)

    def _stray(self, text: bytes) -> bytes:
        """A presence of the same agent, as a client of another vendor shows it."""
        event = orjson.loads(text)
        body = event["eventBody"]
        event["topicName"] = event["topicName"].replace(".activity", ".presence")
        definition = DEFINITIONS[self._rng.choice((AVAILABLE, OFFLINE))]
        event["eventBody"] = {
            "source": "MICROSOFTTEAMS",
            "presenceDefinition": {
                "id": definition.id,
                "systemPresence": definition.event_presence,
            },
            "primary": False,
            "message": "",
            "modifiedDate": _later(body["presence"]["modifiedDate"], timedelta(milliseconds=5)),
        }
        self.strays += 1
        self._note("other-source", agent=self._organisation.agents[body["id"]])
        return orjson.dumps(event)

    # Each variation: the texts instead of the event's, or None if it does not let it happen.

    def _optional(self, event: Event, agent: int, _: int) -> Variant | None:
        presence = event["eventBody"]["presence"]
        absent = []
        if not presence["presenceMessage"]:
            if self._rng.random() < 0.5:
                del presence["presenceMessage"]
                absent.append("presenceMessage")
            elif self._rng.random() < 0.5:
                presence["presenceMessage"] = None
                absent.append("presenceMessage null")
        for field in ("metadata", "version"):
            if not absent or self._rng.random() < 0.3:
                del event[field]
                absent.append(field)
        self._note("optional-part", agent=agent, absent=absent)
        return [orjson.dumps(event)]

    def _queues(self, event: Event, agent: int, _: int) -> Variant | None:
        queues, body = self._organisation.script.queues, event["eventBody"]
        more = self._rng.sample(queues, min(len(queues), self._rng.randint(2, 12)))
        body["activeQueueIds"] = list(dict.fromkeys([*body["activeQueueIds"], *more]))
        self._note("several-queues", agent=agent, queues=len(body["activeQueueIds"]))
        return [orjson.dumps(event)]

    def _broken(self, event: Event, agent: int, at_ms: int) -> Variant | None:
        presence = event["eventBody"]["presence"]
        presence["presenceMessage"] = f"{presence['presenceMessage']} {MARK}"
        self._note("broken-message", agent=agent, at_ms=at_ms)
        mark = orjson.dumps(MARK)[1:-1]
        return [orjson.dumps(event).replace(mark, self._rng.choice(BREAKS))]

    def _odd_part(self, event: Event, agent: int, at_ms: int) -> Variant | None:
        """Of a part that has not changed."""
        body, now = event["eventBody"], iso_time(at_ms)
        odd: tuple[Any, ...] = (17, [], "x", None, {"a": 1})
        plain: tuple[Any, ...] = (17, "x", True)  # what cannot be meant
        parts = {
            "outOfOffice": (body["outOfOffice"]["modifiedDate"], plain),
            "activeQueueIds": (body["dateActiveQueuesChanged"], plain),
            "routingStatus": (
                body["routingStatus"]["startTime"],
                (*odd, {"status": 7, "startTime": body["routingStatus"]["startTime"]}),
            ),
            "presence": (body["presence"]["modifiedDate"], odd),
        }
        unchanged = [part for part, (changed, _) in parts.items() if changed != now]
        if not unchanged or {"routingStatus", "presence"} <= set(unchanged):
            return None  # else nothing would tell the change
        part = self._rng.choice(unchanged)
        body[part] = self._rng.choice(parts[part][1])
        self._note("odd-part", agent=agent, at_ms=at_ms, part=part)
        return [orjson.dumps(event)]

    def _odd_time(self, event: Event, agent: int, at_ms: int) -> Variant | None:
        """Of the parts that changed: no time, or one that cannot be."""
        body, now = event["eventBody"], iso_time(at_ms)
        fields = [
            (body[part], field)
            for part, field in (("presence", "modifiedDate"), ("routingStatus", "startTime"))
            if body[part][field] == now
        ]
        if not fields or body["dateActiveQueuesChanged"] == now:
            return None
        form = self._rng.choice(("missing", "ahead", "far"))
        for holder, field in fields:
            if form == "missing":
                del holder[field]
            elif form == "ahead":
                holder[field] = _later(now, AHEAD)
        if form == "far":  # beside the time that counts, which is right
            body["outOfOffice"]["modifiedDate"] = self._rng.choice(FAR_TIMES)
            body["dateActiveQueuesChanged"] = self._rng.choice(FAR_TIMES)
        self._note("odd-time", agent=agent, at_ms=at_ms, form=form)
        return [orjson.dumps(event)]

    def _foreign_case(self, event: Event, agent: int, _: int) -> Variant | None:
        user, form = event["eventBody"]["id"], self._rng.choice(("topic", "body", "both"))
        if form != "topic":
            event["eventBody"]["id"] = user.upper()
        if form != "body":
            event["topicName"] = event["topicName"].replace(user, user.upper())
        self._note("foreign-case", agent=agent, form=form)
        return [orjson.dumps(event)]

    def _tie(self, event: Event, agent: int, at_ms: int) -> Variant | None:
        """Another standing of the same time stands before it, and is over."""
        body, now = event["eventBody"], iso_time(at_ms)
        if body["presence"]["modifiedDate"] != now:
            return None
        other = next(
            one
            for one in (DEFINITIONS[AVAILABLE], DEFINITIONS[OFFLINE])
            if one.id != body["presence"]["presenceDefinition"]["id"]
        )
        held = self._organisation.activity.held(agent)
        before = orjson.loads(orjson.dumps(event))
        before["eventBody"]["presence"]["presenceDefinition"] = {
            "id": other.id,
            "systemPresence": other.event_presence,
        }
        presence = DEFINITIONS.index(other)
        self._note("tie", agent=agent, at_ms=at_ms, presence=presence, routing=held.routing)
        return [orjson.dumps(before), orjson.dumps(event)]


def split(frames: bytes) -> Iterator[bytes]:
    """The texts of whole frames of the 16-bit form."""
    place = 0
    while place < len(frames):
        assert frames[place + 1] == 126, frames[place : place + 4]
        end = place + 4 + int.from_bytes(frames[place + 2 : place + 4], "big")
        yield frames[place + 4 : end]
        place = end


def _times(body: Event) -> tuple[str, ...]:
    return (
        body["presence"]["modifiedDate"],
        body["routingStatus"]["startTime"],
        body["outOfOffice"]["modifiedDate"],
        body["dateActiveQueuesChanged"],
    )


def _later(text: str, by: timedelta) -> str:
    at = datetime.fromisoformat(text) + by
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
