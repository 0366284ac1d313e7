"""Log: structured lines on stderr, and nothing secret in them. Knows no actor and no setting.

Everything passes one chain, also what picows, httpx and pykka say through the standard library:
one format, one place where secrets are taken out. Values typed as secrets never show; those that
went into plain strings (a URL, an exception's text) are found by what they look like, or because
they were declared with `hide`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "********"
HIDDEN_LENGTH_MIN: Final = 6  # shorter "secrets" would mask half of every line
_LOOKS_SECRET: Final = re.compile(
    r"(?i)((?:access_token|client_secret|password|refresh_token)[\"']?\s*[=:]\s*[\"']?"
    r"|\b(?:Bearer|Basic)\s+)[^\s&\"',;}]+"
)
_IN_URL: Final = re.compile(r"(?i)\b((?:https?|wss?|socks\w{1,2})://)[^\s/@]*@")
_SECRET_KEYS: Final = frozenset(
    {"access_token", "authorization", "client_secret", "password", "refresh_token", "token"}
)
_hidden: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArguments:
    """How a process logs; travels to each child."""

    format: Literal["json", "console"]
    level: str
    path: str | None = None  # appended to; None: stderr
    hidden: tuple[str, ...] = field(default=(), repr=False)


def arguments_of(format_: str, level: str, *hidden: str) -> LogArguments:
    """`auto` is decided once, by the process that has the terminal, and holds for its children."""
    console = format_ == "console" or (format_ == "auto" and sys.stderr.isatty())
    return LogArguments(format="console" if console else "json", level=level, hidden=hidden)


def hide(secret: str) -> None:
    """From now on this value shows in no line of this process."""
    if len(secret) >= HIDDEN_LENGTH_MIN:
        _hidden.add(secret)


def setup_child(name: str, arguments: LogArguments) -> None:
    """The hook that a child runs first."""
    setup(arguments, process=name)


def setup(arguments: LogArguments, *, process: str) -> None:
    """Route structlog and the standard library to stderr. Called again, it replaces itself."""
    for secret in arguments.hidden:
        hide(secret)
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=()),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _naming(process),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _handler(arguments.path)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(arguments.format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(arguments.level)
    logging.captureWarnings(True)


def set_level(name: str) -> None:
    """From now on so much is logged by this process."""
    level = logging.getLevelNamesMapping()[name.upper()]
    # Others' libraries speak when something is wrong; at their debug level httpx writes URLs.
    logging.getLogger().setLevel(max(level, logging.WARNING))
    for ours in ("actors", "runtime", "presence"):
        logging.getLogger(ours).setLevel(level)


def _handler(path: str | None) -> logging.Handler:
    if path is None:
        return logging.StreamHandler(sys.stderr)
    return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Takes secrets out of a line: by type, key, declared value and by what they look like."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    # pydantic's SecretStr and its like; by their method, so that no shard has to import pydantic.
    if hasattr(value, "get_secret_value") or (key.lower() in _SECRET_KEYS and value):
        return MASK
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(each): _clean(str(each), inner) for each, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", inner) for inner in value]
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """The text without any secret that is declared or looks like one."""
    for secret in _hidden:
        if secret in text:
            text = text.replace(secret, MASK)
    text = _IN_URL.sub(rf"\g<1>{MASK}@", text)
    return _LOOKS_SECRET.sub(rf"\g<1>{MASK}", text)


def _naming(process: str) -> Processor:
    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add_process


def _renderer(format_: str) -> Processor:
    if format_ == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")
    return _render_json


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("time", "level", "process", "event") if key in event}
    line = {**first, **event}
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # what a peer can send and orjson refuses: huge integers, half surrogates
        return json.dumps(line, default=str)
