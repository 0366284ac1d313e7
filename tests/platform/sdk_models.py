"""SdkModels: answers and frames held against the model classes of the platform's own SDK, in a
process of its own: the import takes 215 MB.

    python -m tests.platform.sdk_models < records > differences

A record is a line of JSON: what was answered (method, path, status, body) or sent (frame). A line
of JSON comes back for each, with its differences: [where, what]. Which model an answer has is read
from the SDK's API classes, what a model has from its `swagger_types` and `attribute_map`, and what
a text may be from its setter. Knows nothing of the gateway, nor of the product.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import PureCloudPlatformClientV2 as Sdk  # type: ignore[import-untyped]
from dateutil.parser import isoparse  # type: ignore[import-untyped]
from PureCloudPlatformClientV2 import models

# The SDK has a class for the body of each event, but nowhere says of which topic.
TOPICS = (
    (r"v2\.users\.[^.]+\.activity", "UserActivity"),
    (r"v2\.users\.[^.]+\.presence", "PresenceEventUserPresence"),
    (r"v2\.users\.[^.]+\.routingstatus", "UserRoutingStatusUserRoutingStatus"),
    (r"v2\.users\.[^.]+\.outofoffice", "OutOfOfficeEventOutOfOffice"),
    (
        r"v2\.system\.(no_longer_subscribed|subscription_changed|token_revoked)(\..+)?",
        "SystemMessageSystemMessage",
    ),
)
OUTDATED = "outdated_sdk_version"  # what a setter makes of a text that it does not know
PLAIN: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "object": object,
}
Difference = tuple[str, str]


class Call(NamedTuple):
    method: str
    template: str
    answer: str | None

    def fits(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.template))
        return method == self.method and re.fullmatch(pattern, path) is not None


def calls() -> list[Call]:
    """Of all API classes; those whose path names more come first."""
    found = []
    pattern = re.compile(
        r"resource_path = '([^']+)'.*?call_api\(resource_path, '(\w+)'"
        r".*?response_type=(None|'[^']+')",
        re.DOTALL,
    )
    for path in sorted(Path(str(Sdk.__file__)).with_name("apis").glob("*_api.py")):
        for template, method, answer in pattern.findall(path.read_text(encoding="utf-8")):
            found.append(Call(method, template, None if answer == "None" else answer.strip("'")))
    return sorted(found, key=lambda call: call.template.count("{"))


def differences_of(record: dict[str, Any], known: list[Call]) -> Iterator[Difference]:
    if "frame" in record:
        yield from frame_differences(record["frame"])
        return
    method, path, body = record["method"], record["path"], record["body"]
    call = next((each for each in known if each.fits(method, path)), None)
    where = f"{method} {path}"
    if call is None:
        yield where, "no such call"
    elif record["status"] >= 400 and method == "HEAD":
        if body is not None:
            yield where, "has no answer"
    elif record["status"] >= 400:
        yield from of_type(body, "ErrorBody", "ErrorBody")
    elif call.answer is None:
        if body is not None:
            yield where, "has no answer"
    else:
        yield from of_type(body, call.answer, f"{method} {call.template}")


def frame_differences(frame: dict[str, Any]) -> Iterator[Difference]:
    topic = frame.get("topicName")
    if topic is None:
        yield "a frame without a topic", "no model"
        return
    for pattern, model in TOPICS:
        if re.fullmatch(pattern, topic, re.IGNORECASE):
            yield from of_type(frame.get("eventBody"), model, model)
            return
    yield topic.lower(), "no model"


def of_type(value: Any, kind: str, where: str) -> Iterator[Difference]:
    """`where`: the model and field that hold it, or the call."""
    if value is None:
        yield where, "null"
    elif found := re.fullmatch(r"list\[(.+)\]", kind):
        yield from of_list(value, found[1], where)
    elif found := re.fullmatch(r"dict\(str, (.+)\)", kind):
        yield from of_list(list(value.values()) if isinstance(value, dict) else 0, found[1], where)
    elif kind == "datetime":
        yield from of_time(value, where)
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (isinstance(value, bool) and kind == "int"):
            yield where, f"is {type(value).__name__}, not {kind}"
    else:
        yield from of_model(value, kind, where)


def of_list(values: Any, kind: str, where: str) -> Iterator[Difference]:
    if not isinstance(values, list):
        yield where, f"is {type(values).__name__}, not many of {kind}"
        return
    for value in values:
        yield from of_type(value, kind, where)


def of_time(value: Any, where: str) -> Iterator[Difference]:
    try:
        moment: datetime = isoparse(value)
    except (TypeError, ValueError):
        yield where, f"is no time: {value!r}"
    else:
        if moment.tzinfo is None:
            yield where, f"is a time of no zone: {value!r}"


def of_model(value: Any, kind: str, where: str) -> Iterator[Difference]:
    if not isinstance(value, dict):
        yield where, f"is {type(value).__name__}, not {kind}"
        return
    model = getattr(models, kind)()
    attributes = {name: attribute for attribute, name in model.attribute_map.items()}
    for name, held in value.items():
        field = f"{kind}.{name}"
        if name not in attributes:
            yield field, "does not exist"
            continue
        attribute = attributes[name]
        yield from of_type(held, model.swagger_types[attribute], field)
        yield from of_setter(model, attribute, held, field)


def of_setter(model: Any, attribute: str, held: Any, field: str) -> Iterator[Difference]:
    """What the SDK's own setter takes of it: the values of an enumeration are nowhere else."""
    if isinstance(held, dict | list):
        return
    try:
        setattr(model, attribute, held)
    except (AttributeError, TypeError, ValueError) as error:
        yield field, f"is refused: {error}"
    else:
        if getattr(model, attribute) == OUTDATED != held:
            yield field, f"is not {held!r}"


def main() -> None:
    known = calls()
    for line in sys.stdin:
        print(json.dumps(sorted(set(differences_of(json.loads(line), known)))))


if __name__ == "__main__":
    main()
