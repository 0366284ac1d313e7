"""Report: tables and plots of what benchmarks wrote into `benchmarks/results/`; measures nothing.

python -m benchmarks report            from the JSON files that are there
make bench                             runs all benchmarks, then this
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

RESULTS: Final = Path(__file__).parent / "results"
REPORT: Final = "report.md"
# Okabe and Ito: told apart by everybody.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
SIZE_IN: Final = (8.0, 4.2)
DPI: Final = 110
Told = Mapping[str, Any]
mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})


def main() -> int:
    told = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    if not told:
        print(f"no results in {RESULTS}: run `make bench`", file=sys.stderr)
        return 1
    plots = {name: plot for name, plot in PLOTS.items() if plot(told)}
    text = "\n".join(page(told, plots))
    (RESULTS / REPORT).write_text(text + "\n")
    print(f"{RESULTS / REPORT}: {len(told)} benchmarks, {len(plots)} plots")
    return 0


def page(told: Mapping[str, Told], plots: Mapping[str, object]) -> Iterator[str]:
    """The report in Markdown, line by line."""
    yield "# What was measured"
    yield ""
    yield "Medians, and the least and the most of all rounds; a ratio is to the first row of its"
    yield "unit. Every figure is of a run that was verified. `make bench` makes this page anew."
    for name in plots:
        yield ""
        yield f"![{name}]({name}.png)"
    for name, one in told.items():
        yield ""
        yield f"## {name}"
        yield ""
        machine = one["machine"]
        wanted = ("cpu", "cores", "load", "kernel", "python", "commit")
        found = {key: machine[key] for key in wanted if key in machine}
        where = [f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items()]
        yield ", ".join([*where, f"seed {one['options']['seed']}"])
        fsync = one["facts"].get("fsync_ms")
        if fsync is not None:
            yield f"fsync of 4 KiB on this disk: {fsync:.2f} ms."
        yield ""
        yield from table(one["figures"])
        yield from targets(one["targets"])
        yield from needs(one["facts"].get("needs", []))


def table(figures: list[Told]) -> Iterator[str]:
    yield "| subject | median | unit | ratio | least | most |"
    yield "|---|---:|---|---:|---:|---:|"
    first: dict[str, float] = {}
    for figure in figures:
        median, unit = figure["median"], figure["unit"]
        reference = first.setdefault(unit, median)
        ratio = f"{median / reference:.2f}" if reference else ""
        least, most = min(figure["values"]), max(figure["values"])
        shown = " | ".join([short(median), unit, ratio, short(least), short(most)])
        yield f"| {figure['subject']} | {shown} |"


def targets(found: list[Told]) -> Iterator[str]:
    if found:
        yield ""
        yield "| wanted | bound | reached | |"
        yield "|---|---:|---:|---|"
    for target in found:
        verdict = "met" if target["met"] else "**missed**"
        bound = f"{target['sense']} {short(target['bound'])}"
        yield f"| {target['what']} | {bound} | {short(target['reached'])} | {verdict} |"


def needs(found: list[Told]) -> Iterator[str]:
    if found:
        yield ""
        yield "| agents | events/s | shards | cores, each filled to 70 % |"
        yield "|---:|---:|---:|---:|"
    for each in found:
        cores = "more than one receiver" if each["is_too_much"] else short(each["cores"])
        load = f"{each['events_per_s']:,.0f}"
        yield f"| {each['agents']:,} | {load} | {each['shards']} | {cores} |"


def short(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


# -- plots: each saves a file and is true, or has nothing to show ---------------------------------


def _of_unit(told: Told, unit: str) -> dict[str, float]:
    return {each["subject"]: each["median"] for each in told["figures"] if each["unit"] == unit}


def _drawn(name: str, draw: Callable[[Any], None]) -> bool:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    draw(figure.add_subplot())
    figure.savefig(RESULTS / f"{name}.png", dpi=DPI)
    return True


def throughput(told: Mapping[str, Told]) -> bool:
    """Bars: events a second by peer."""
    if "peers" not in told:
        return False
    rates = _of_unit(told["peers"], "events/s")

    def draw(axes: Any) -> None:
        colours = [COLOURS[0] if name.startswith("ours") else "#999999" for name in rates]
        thousands = [rate / 1_000 for rate in rates.values()]
        bars = axes.barh(list(rates), thousands, color=colours)
        axes.bar_label(bars, [f" {rate:,.0f}" for rate in thousands])
        axes.invert_yaxis()
        axes.set_xlabel("thousand events a second, verified; the same stream, the same work")
        axes.set_title("Throughput by peer")

    return _drawn("throughput", draw)


def cpu(told: Mapping[str, Told]) -> bool:
    """Bars: CPU of an event, ours by role."""
    if "peers" not in told:
        return False
    whole = _of_unit(told["peers"], "CPU µs/event")
    roles = {
        role: _of_unit(told["peers"], f"{role} µs/event")
        for role in ("receiver", "shard", "web", "sender")
    }

    def draw(axes: Any) -> None:
        names = list(whole)
        left = [0.0] * len(names)
        for colour, (role, used) in zip(COLOURS, roles.items(), strict=False):
            widths = [used.get(name, 0.0) for name in names]
            axes.barh(names, widths, left=left, color=colour, label=role)
            left = [one + more for one, more in zip(left, widths, strict=True)]
        others = [
            0.0 if any(name in used for used in roles.values()) else whole[name] for name in names
        ]
        axes.barh(names, others, color="#999999", label="one process")
        axes.invert_yaxis()
        axes.legend()
        axes.set_xlabel("µs of CPU an event")
        axes.set_title("CPU of an event, by role")

    return _drawn("cpu", draw)


def latency(told: Mapping[str, Told]) -> bool:
    """Lines: age by percentile at shares of the capacity."""
    if "latency" not in told:
        return False
    names = ("p50", "p90", "p99", "p99.9", "p99.99")
    found: dict[str, list[float]] = {}
    for name in names:
        for subject, age_ms in _of_unit(told["latency"], f"{name} ms").items():
            found.setdefault(subject, []).append(age_ms)

    def draw(axes: Any) -> None:
        for index, (subject, ages_ms) in enumerate(found.items()):
            style = "-" if "off" in subject else "--"
            axes.plot(names, ages_ms, style, marker="o", color=COLOURS[index % 3], label=subject)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.set_ylabel("ms from an event's own time to a reader")
        axes.legend()
        axes.set_title("Age of an event, open loop")

    return _drawn("latency", draw)


def recovery(told: Mapping[str, Told]) -> bool:
    """Dots: every kill of every round."""
    if "recovery" not in told:
        return False
    seconds = told["recovery"]["facts"]["seconds"]

    def draw(axes: Any) -> None:
        for place, values in enumerate(seconds.values()):
            axes.plot(values, [place] * len(values), "o", alpha=0.6, color=COLOURS[0])
            axes.plot(median(values), place, "|", markersize=22, color=COLOURS[5])
        axes.set_yticks(range(len(seconds)), list(seconds))
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds")
        axes.set_title("After a kill, after a reconnect")

    return _drawn("recovery", draw)


def soak(told: Mapping[str, Told]) -> bool:
    """Lines over time: memory, descriptors and threads by process, and the size of all files."""
    if "soak" not in told:
        return False
    facts = told["soak"]["facts"]
    panels = {
        "resident MB": facts["memory_mb"],
        "descriptors": facts["descriptors"],
        "threads": facts["threads"],
        "MB of journals and sender's file": {"files": facts["files_mb"]},
    }
    figure = Figure(figsize=(SIZE_IN[0], 2 * SIZE_IN[1]), layout="constrained")
    for axes, (what, series) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for index, (process, points) in enumerate(sorted(series.items())):
            minutes, values = [at_s / 60 for at_s, _ in points], [value for _, value in points]
            axes.plot(minutes, values, color=COLOURS[index % len(COLOURS)], label=process)
        for at_s, _ in facts["kills"]:
            axes.axvline(at_s / 60, color="#cccccc", linewidth=0.8, zorder=0)
        axes.set_xlabel("minutes; a grey line is a kill")
        axes.set_ylabel(what)
        axes.set_ylim(bottom=0)
    figure.axes[0].legend()
    figure.suptitle("Faults, kills, commands and readers")
    figure.savefig(RESULTS / "soak.png", dpi=DPI)
    return True


PLOTS: Final = {
    "throughput": throughput,
    "cpu": cpu,
    "latency": latency,
    "recovery": recovery,
    "soak": soak,
}


if __name__ == "__main__":
    sys.exit(main())
