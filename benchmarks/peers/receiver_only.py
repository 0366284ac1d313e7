"""Our receiver alone, in the part of a peer: rings are emptied here and nobody looks inside."""

from __future__ import annotations

import argparse
import json
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.messages.control import SessionBegins, decode_control
from actors.receiver.loop import ReceiverArguments
from actors.settings.model import Settings
from actors.settings.sender import SenderSettings
from benchmarks.peers.part import Given, Report, say
from runtime.child_spec import ChildSpec
from runtime.errors import LocalError
from runtime.log import LogArguments, setup
from runtime.ring import KIND_CONTROL, KIND_EVENT, Batch, Consumer
from runtime.supervisor import Supervisor

STEP_S = 0.005
IDLE_S = 0.001


class Drain(threading.Thread):
    """Takes whatever the receiver publishes, and counts events."""

    def __init__(self, arguments: ReceiverArguments) -> None:
        super().__init__(daemon=True)
        self.events = 0
        self.newest = 0  # the gateway's sequence when it acknowledged us
        self._consumers = [
            Consumer(block, generation=1, producer_doorbell=arguments.own_doorbell)
            for block in arguments.rings
        ]

    def run(self) -> None:
        while True:
            taken = 0
            for consumer in self._consumers:
                batch = consumer.peek(4_096)
                if batch is not None:
                    taken += batch.count
                    self.events += batch.kinds.count(KIND_EVENT)
                    if not self.newest:
                        self._look(batch)
                    consumer.commit(batch.cursor_to)
            if not taken:
                time.sleep(IDLE_S)

    def _look(self, batch: Batch) -> None:
        for index, kind in enumerate(batch.kinds):
            if kind == KIND_CONTROL:
                control = decode_control(batch.frame(index))
                if isinstance(control, SessionBegins):
                    self.newest = control.newest


def play(given: Given, spec: ChildSpec, environment: dict[str, str]) -> None:
    assert isinstance(spec.arguments, ReceiverArguments)
    page = spec.counters
    drain = Drain(spec.arguments)
    drain.start()
    with Supervisor((spec,), environment=environment) as supervisor:

        def until(fact: Callable[[], bool]) -> None:
            while not fact():
                supervisor.step(STEP_S)
                if supervisor.finished:
                    raise LocalError(f"the receiver has ended: {supervisor.reason}")

        def beat() -> float:
            asked_ns = time.monotonic_ns()
            until(lambda: page.get("beat_ns") > asked_ns)
            return page.get("cpu_ns") / 1e9

        supervisor.start()
        until(lambda: drain.events >= given.agents)
        before_s = beat()
        say({"ready": True})
        until(lambda: bool(select.select([0], [], [], 0)[0]))
        newest = int(sys.stdin.readline())
        until(lambda: drain.events >= given.agents + newest - drain.newest)
        say({"finished": True})
        used_s = beat() - before_s
        supervisor.request_stop("measured")
        while not supervisor.finished:
            supervisor.step(STEP_S)
    events = drain.events
    say(asdict(Report(events=events, transitions=0, states={}, cpu_s={"receiver": used_s})))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("given", type=lambda text: Given(**json.loads(text)))
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    given: Given = asked.given
    log = LogArguments(format="json", level="error", path=str(asked.folder / "log"))
    setup(log, process="supervisor")
    settings = Settings(
        base_url=given.base_url,
        client_id=given.client_id,
        client_secret=SecretStr(given.client_secret),
        ca_file=None if given.ca_file is None else Path(given.ca_file),
        data_dir=asked.folder / "data",
        journal="off",
        sender=SenderSettings(enabled=False),
    )
    runtime = Runtime.assemble(settings, log)
    try:
        spec = next(spec for spec in runtime.specs if spec.role == "receiver")
        play(given, replace(spec, needs=()), dict(runtime.environment))
    finally:
        runtime.data_dir.lock.release()


if __name__ == "__main__":
    main()
