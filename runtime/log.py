"""Log: structured lines on stderr, and nothing secret in them. Knows no actor and no setting.

Everything passes one chain, also what picows, httpx and pykka say through the standard library:
one format, one place where secrets are taken out. Values typed as secrets never show; those that
went into plain strings (a URL, an exception's text) are found by what they look like, or because
they were declared with `hide`.
"""

from __future__ import annotations

import atexit
import json
import logging
import re
import sys
import textwrap
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runtime.clock import Clock, SystemClock
from runtime.line_rates import LeftOut, LineRates
from runtime.printable import printable, printable_lines

MASK: Final = "********"
LINES_PER_MINUTE: Final = 120
"""Of one event in one process. A start of the largest installation has fewer of any."""
VALUE_CHARS_MAX: Final = 4_096
TRACEBACK_CHARS_MAX: Final = 32_768
ITEMS_MAX: Final = 200  # of a list or mapping in a line
_UNBOUNDED: Final = frozenset({"presence.audit", "runtime.log"})
"""Loggers: what is finished must be in the audit, whatever happens; and the counts themselves."""
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
    lines_per_minute: int = LINES_PER_MINUTE  # of one event; 0: no bound
    hidden: tuple[str, ...] = field(default=(), repr=False)


def arguments_of(
    format_: str, level: str, *hidden: str, lines_per_minute: int = LINES_PER_MINUTE
) -> LogArguments:
    """`auto` is decided once, by the process that has the terminal, and holds for its children."""
    console = format_ == "console" or (format_ == "auto" and sys.stderr.isatty())
    return LogArguments(
        format="console" if console else "json",
        level=level,
        hidden=hidden,
        lines_per_minute=lines_per_minute,
    )


def hide(secret: str) -> None:
    """From now on this value shows in no line of this process."""
    if len(secret) >= HIDDEN_LENGTH_MIN:
        _hidden.add(secret)


def setup_child(name: str, arguments: LogArguments) -> None:
    """The hook that a child runs first."""
    setup(arguments, process=name)


def setup(arguments: LogArguments, *, process: str, clock: Clock | None = None) -> None:
    """Route structlog and the standard library to stderr. Called again, it replaces itself."""
    finish()
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
        make_printable,
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
    handler.addFilter(_LineBound(LineRates(arguments.lines_per_minute), clock or SystemClock()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(arguments.level)
    logging.captureWarnings(True)


@atexit.register
def finish() -> None:
    """Tells what was left out and not told yet: nobody will later."""
    for handler in logging.getLogger().handlers:
        for each in handler.filters:
            if isinstance(each, _LineBound):
                each.finish()


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


class _LineBound(logging.Filter):
    """So many lines a minute of one event, and then how many there were besides. What fills a disk
    or hides all else is a line that repeats, and it may be a peer who makes it repeat."""

    def __init__(self, rates: LineRates, clock: Clock) -> None:
        super().__init__()
        self._rates = rates
        self._clock = clock
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name in _UNBOUNDED:
            return True
        with self._lock:
            now_s = self._clock.now_s()
            self._tell(self._rates.due(now_s))
            is_shown = self._rates.admits(_name_of(record), now_s)
            if not is_shown and self._timer is None:
                self._wait(now_s)
        return is_shown

    def finish(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._tell(self._rates.all_left_out(self._clock.now_s()))

    def _wait(self, now_s: float) -> None:
        """There may be no further line that would tell the count."""
        due_s = self._rates.due_in_s(now_s)
        self._timer = None if due_s is None else threading.Timer(due_s, self._on_time)
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            now_s = self._clock.now_s()
            self._tell(self._rates.due(now_s))
            self._wait(now_s)

    def _tell(self, left_out: Iterable[LeftOut]) -> None:
        for each in left_out:
            structlog.get_logger("runtime.log").warning(
                "log.lines_left_out",
                lines=each.name,
                count=each.lines,
                seconds=round(each.over_s, 1),
            )


def _name_of(record: logging.LogRecord) -> str:
    """Of ours the event. Of others the logger: what they say may be different each time."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("event", ""))
    return record.name


def make_printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """One line of bounded length, in which no text acts on whoever reads it."""
    return {
        key: _traceback(value) if key in ("exception", "stack") else _shown(value)
        for key, value in event.items()
    }


def _traceback(value: Any) -> Any:
    return printable_lines(_cut(value, TRACEBACK_CHARS_MAX)) if isinstance(value, str) else value


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return printable(_cut(value, VALUE_CHARS_MAX))
    if isinstance(value, dict):
        parts = list(value.items())[:ITEMS_MAX]
        shown = {_shown(key): _shown(each) for key, each in parts}
        return shown if len(parts) == len(value) else {**shown, "…": len(value) - len(parts)}
    if isinstance(value, list):
        rest = len(value) - ITEMS_MAX
        cut = [_shown(each) for each in value[:ITEMS_MAX]]
        return cut if rest <= 0 else [*cut, f"… and {rest} more"]
    return value


def _cut(text: str, chars_max: int) -> str:
    rest = len(text) - chars_max
    return text if rest <= 0 else f"{text[:chars_max]}… and {rest} more characters"


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
        drawn = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")

        def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
            # A line of a traceback may be somebody's text: none of them looks like one of ours.
            for key in ("exception", "stack"):
                if isinstance(event.get(key), str):
                    event[key] = textwrap.indent(event[key], "  | ", lambda _: True)
            return str(drawn(logger, method, event))

        return render
    return _render_json


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("time", "level", "process", "event") if key in event}
    line = {**first, **event}
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # what a peer can send and orjson refuses: huge integers, half surrogates
        return json.dumps(line, default=str)
