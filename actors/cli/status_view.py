"""Status view: how a runtime does, in words, from what /api/status says. Pure; asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from actors.web.rates import CounterSample, pace, role_of

Body: TypeAlias = Mapping[str, Any]
BEAT_AGE_MAX_S: Final = 15.0
"""As long as a supervisor bears it."""
RING_FULL: Final = 0.8
"""From here on a receiver pauses."""
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
PROCESS_COLUMNS: Final = ("process", "pid", "phase", "life", "beat", "CPU", "memory")
RING_COLUMNS: Final = ("from", "to", "used", "of")


def headline(body: Body, wrong: Sequence[str]) -> str:
    name = f"presence-runtime {body['name']}".rstrip()
    return f"{name} ({body['dialect']}) is {'not live' if wrong else 'live'}"


def facts(body: Body) -> Iterator[str]:
    """What there is to say when all is well, too."""
    if body["since"] is not None:
        yield f"since {body['since']}"
    shards = [words for name, words in body["counters"].items() if role_of(name) == "shard"]
    if shards:
        yield f"{sum(words['agents'] for words in shards):,} agents"
    rates = body["rates"]
    if "events" in rates:
        lag = "" if body["lag_ms"] is None else f", durable after {body['lag_ms']:,.1f} ms"
        yield f"{rates['events']:,.0f} events per second{lag}"
    if "commands" in rates:
        yield f"{rates['commands']:,.1f} commands per second"
    restarts = sum(max(0, process["generation"] - 1) for process in body["processes"])
    if restarts:
        yield f"{restarts} restarts"


def wrong(body: Body, unready: Sequence[str] = ()) -> list[str]:
    """What a person should know or do; `unready`: what /readyz says. Nothing twice."""
    found = [*body["reasons"], *unready, *_wrong_processes(body), *_wrong_rings(body)]
    if not body["live"] and not found:
        found.append("the states shown on the page are not confirmed")
    for name, words in body["counters"].items():
        found += _wrong_words(name, words)
    return list(dict.fromkeys(found))


def _wrong_processes(body: Body) -> Iterator[str]:
    for process in body["processes"]:
        name, phase, age_s = process["name"], process["phase"], process["beat_age_s"]
        if phase not in {"loaded", "running", "waiting"}:
            yield f"{name} is {phase}"
        elif process["rss_bytes"] is None:
            yield f"{name} has ended"
        elif age_s > BEAT_AGE_MAX_S:
            yield f"{name} sent no heartbeat for {age_s:.0f} s"


def _wrong_rings(body: Body) -> Iterator[str]:
    for ring in body["rings"]:
        fill = ring["used_bytes"] / ring["capacity_bytes"]
        if fill > RING_FULL:
            yield f"the ring from {ring['from']} to {ring['to']} is {fill:.0%} full"


def _wrong_words(name: str, words: Mapping[str, int]) -> Iterator[str]:
    role = role_of(name)
    if role == "receiver":
        if words.get("exhausted"):
            yield f"{name} has used up its attempts to connect (attempts_max)"
        elif not words["connected"]:
            yield f"{name} is not connected"
        if words.get("topics_partly_refused"):
            count = words["topics_partly_refused"]
            yield f"{count} parts of topics are refused; see: presence-runtime topics"
        if words.get("topics_refused"):
            yield f"{words['topics_refused']} topics are refused; see: presence-runtime topics"
    elif role == "planner" and words["agents_unmonitored"]:
        need = f"{words['clients_needed']} OAuth clients are needed; see: presence-runtime topics"
        yield f"{words['agents_unmonitored']} agents are not monitored: {need}"
    elif role == "sender":
        if not words["connected"]:
            yield "the sender is not connected; presences cannot be changed"
        if words["webhooks_dead"]:
            dead = words["webhooks_dead"]
            yield f"{dead} webhook messages are dead-lettered; see: presence-runtime webhooks"


def paced(body: Body, before: CounterSample | None, now: CounterSample) -> Body:
    """The same with the rates since the last look, rather than those of the last ten seconds."""
    since = None if before is None else pace(before, now)
    if since is None:
        return body
    shares = since.cpu_percent
    return {
        **body,
        "rates": {name: round(rate, 1) for name, rate in since.per_s.items()},
        "lag_ms": since.lag_ms,
        "processes": [
            {**process, "cpu_percent": shares.get(process["name"])} for process in body["processes"]
        ],
    }


# -- tables --------------------------------------------------------------------------------------


def process_rows(body: Body) -> Iterator[tuple[object, ...]]:
    for process in body["processes"]:
        share, memory = process["cpu_percent"], process["rss_bytes"]
        yield (
            process["name"],
            str(process["pid"] or ""),
            process["phase"],
            process["generation"],
            _ago(process["beat_age_s"]),
            "" if share is None else f"{share:.1f} %",
            "" if memory is None else size(memory),
        )


def ring_rows(body: Body) -> Iterator[tuple[object, ...]]:
    """The fullest first."""
    rings = sorted(body["rings"], key=lambda ring: -ring["used_bytes"] / ring["capacity_bytes"])
    for ring in rings:
        yield ring["from"], ring["to"], size(ring["used_bytes"]), size(ring["capacity_bytes"])


def size(count: int) -> str:
    """In units of 1,024, as memory is counted."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def lasting(seconds: float) -> str:
    """`3 d 4 h`, `41 min`: the two largest units."""
    whole = int(seconds)
    parts = [
        (whole // DAY_S, "d"),
        (whole % DAY_S // HOUR_S, "h"),
        (whole % HOUR_S // MINUTE_S, "min"),
        (whole % MINUTE_S, "s"),
    ]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < MINUTE_S else lasting(seconds)
