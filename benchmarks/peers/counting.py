"""Counting: a native listener that only counts, in the part of a peer. It holds no agent."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import uvloop
from Cython.Build import cythonize
from picows import ws_connect
from setuptools import (  # type: ignore[import-untyped]  # it has no types
    Distribution,
    Extension,
)

from benchmarks.peers.part import SUBSCRIPTION, Course, Given, Report

LOOK_S = 0.005
SOURCE = Path(__file__).parent / "counting_listener.pyx"


def compiled() -> Any:
    """The listener's module, built where nobody else looks: it belongs to no package."""
    build = tempfile.mkdtemp(prefix="presence-counting-")
    extension = Extension(SOURCE.stem, [str(SOURCE)])
    modules = cythonize(  # type: ignore[no-untyped-call]
        [extension], language_level=3, build_dir=build, quiet=True
    )
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = build
    command.ensure_finalized()
    command.run()
    path = next(Path(build).glob(f"{SOURCE.stem}.*.so"))
    spec = importlib.util.spec_from_file_location(SOURCE.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def play(given: Given, listener: Any) -> None:
    loop = asyncio.get_running_loop()

    def newest() -> int:
        """Beside the events: the acknowledgement, the history and its end."""
        others = 2 + given.agents
        return int(json.loads(listener.first)["sequence"]) + int(listener.frames) - others

    def report(cpu_s: float) -> Report:
        events = listener.frames - 2
        return Report(events=events, transitions=0, states={}, cpu_s={"listener": cpu_s})

    course = Course(newest, report)
    transport, _ = await ws_connect(
        lambda: listener, given.socket_url(), ssl_context=given.tls, max_frame_size=1 << 24
    )
    while listener.frames < 2 + given.agents:
        await asyncio.sleep(LOOK_S)
    course.ready()
    told = asyncio.Event()

    def on_line() -> None:
        loop.remove_reader(0)
        course.told()
        told.set()

    loop.add_reader(0, on_line)
    await told.wait()
    while not course.is_over():
        await asyncio.sleep(LOOK_S)
    transport.disconnect()


def main() -> None:
    module = compiled()
    uvloop.run(play(Given.from_arguments(), module.CountingListener(SUBSCRIPTION)))


if __name__ == "__main__":
    main()
