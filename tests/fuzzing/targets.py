"""Targets: what is fed to the readers of what others write, and what they may answer.

Each takes bytes. A refusal in the reader's own words is an answer; any other exception is a
finding, and so is an accepted value that cannot come out again.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from actors.cli import batch_file
from actors.genesys import cloud, cloud_answers, presence, wsp
from actors.genesys.cloud_errors import CloudError, refusal
from actors.genesys.definitions import Definitions
from actors.genesys.json_text import parsed
from actors.genesys.retry_after import http_date_us
from actors.genesys.tokens import _FailedError, description_of, read_grant
from actors.genesys.unreadable import ids_in, pages_in
from actors.receiver.routing import routed, routed_scanned, routed_usual
from actors.receiver.topic_routing import routed_topic
from actors.settings.layers import load
from actors.shard import cloud_decode, decode
from actors.web import names, tokens
from runtime.errors import RuntimeFault
from runtime.printable import printable, printable_json

_SCRATCH: Final = Path(tempfile.gettempdir()) / f"fuzzed-{os.getpid()}"
atexit.register(shutil.rmtree, _SCRATCH, ignore_errors=True)


def settings(data: bytes) -> None:
    """A settings file."""
    try:
        effective = load(config=_file(data), needs_gateway=b"#" not in data[:1])
    except RuntimeFault as fault:
        _shown(str(fault))
        return
    for row in effective.rows():
        _shown("".join(row))


def csv(data: bytes) -> None:
    """A file of commands, and one of names."""
    path = _file(data)
    for dialect in ("wsp", "cloud"):
        try:
            for line in batch_file.read(path, "fuzzed", dialect):
                _shown(repr(line))
        except RuntimeFault as fault:
            _shown(str(fault))
    try:
        known = names.read(path.parent, "wsp", path)
    except RuntimeFault as fault:
        _shown(str(fault))
        return
    for user_id, name in known.users.items():
        orjson.dumps(name)
        known.folded(user_id)


def tokens_file(data: bytes) -> None:
    """Who may read and write."""
    try:
        found = tokens.read(_file(data))
    except RuntimeFault as fault:
        _shown(str(fault))
        return
    assert len({each.name for each in found}) == len(found)


def rest(data: bytes) -> None:
    """Answers of the platform, good ones and refusals, and of the token endpoint."""
    try:
        token = read_grant(data, ("a:b",), 0.0)
        assert token.life_s > 0
    except _FailedError as error:
        _shown(str(error.reason))
    _shown(description_of(data))
    ids_in(data)
    pages_in(data, 1)
    text = data[:200].decode(errors="replace")
    http_date_us(text)
    for status in (400, 401, 403, 404, 409, 429, 500, 503):
        refused = refusal("GET /x", status, {"retry-after": text}, data, 0)
        assert isinstance(refused, CloudError)
        _shown(str(refused))
    try:
        answer = parsed(data)
    except ValueError:
        return
    cloud_answers.channels_of(answer)
    cloud_answers.channel_of(answer)
    if isinstance(answer, dict):
        cloud_answers.subscriptions_of(["v2.users.a.activity"], answer)
        try:
            page = cloud_answers.page_of("GET /x", answer, 1, 25)
        except CloudError as error:
            _shown(str(error))
            return
        for entity in page.entities:
            cloud_answers.name_of(entity)
        Definitions(page.entities).meant("Meal")


def frames(data: bytes) -> None:
    """Frames of both dialects: the fast ways say the same as the slow one, or nothing."""
    wsp.read_frame(data)
    cloud.read_frame(data)
    presence.read_frame(data)
    slow = routed(data)
    for fast in (routed_usual(data), routed_scanned(data)):
        assert fast is None or fast == slow
    routed_topic(data)
    (value,) = decode.parse_frames(b"[" + data + b"]", 1, lambda _: data)
    for read in (decode.checked(value), cloud_decode.told(value)):
        _shown(repr(read))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "settings": settings,
    "csv": csv,
    "tokens": tokens_file,
    "rest": rest,
    "frames": frames,
}


def _file(data: bytes) -> Path:
    _SCRATCH.mkdir(mode=0o700, exist_ok=True)
    path = _SCRATCH / "input"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _shown(text: str) -> Any:
    """What is said of it goes to terminals and into logs."""
    shown = printable(text)
    shown.encode()
    return printable_json(orjson.dumps(shown))
