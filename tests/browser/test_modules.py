"""The parts of the page that decide: they know no page, so a page only lends them its engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.sight import Sight
from tests.browser.stub import Stub, serving

# Machado, Oliveira and Fernandes (2009), severity 1: what is seen without one kind of cone.
SEEN = {
    "by all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "without L": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "without M": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "without S": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip
DISTANCE_MIN = 12.0  # in OKLab, times 100; Okabe and Ito's colours reach 3.5 with a grey among them


@pytest.fixture(scope="module")
def engine(chromium: Browser) -> Iterator[Page]:
    with serving(Stub(3)) as url:
        sight = Sight(chromium, url)
        yield sight.page
        sight.close()


@pytest.fixture
def run(engine: Page) -> Callable[..., Any]:
    """`run(module, body, given)`: what the body returns, with the module's names in `m`."""

    def running(module: str, body: str, given: object = None) -> Any:
        script = f"async ([path, given]) => {{ const m = await import(path); {body} }}"
        return engine.evaluate(script, [f"/static/{module}.js", given])

    return running


Run = Callable[..., Any]


def test_events_are_the_same_wherever_the_network_cut_their_text(run: Run) -> None:
    text = (
        ': hello\n\nid: a-1\nevent: changes\ndata: {"x":\ndata: 1}\n\nid: a-2\r\ndata: two\r\n\r\n'
    )
    wanted = [
        {"id": "a-1", "event": "changes", "data": '{"x":\n1}'},
        {"id": "a-2", "event": "message", "data": "two"},
    ]
    body = """return given.map((pieces) => { const parser = new m.SseParser();
      return pieces.flatMap((piece) => parser.push(piece)); });"""
    # Not between \\r and \\n: our server ends its lines with \\n alone.
    cuts = [n for n in range(1, len(text)) if text[n - 1 : n + 1] != "\r\n"]
    told = run("sse", body, [[text[:n], text[n:]] for n in cuts])
    assert all(each == wanted for each in told)
    assert run("sse", body, [list(text.replace("\r", ""))]) == [wanted]


def test_every_place_has_a_cell_of_its_own_inside_of_the_frame(run: Run) -> None:
    body = """return given.map(([places, width, height]) => {
      const layout = new m.MapLayout(places, width, height, 1);
      const cells = new Set();
      for (let place = 0; place < places; place += 1) {
        const [x, y] = [layout.x(place), layout.y(place)];
        if (x + layout.cellWidth > width || y + layout.cellHeight > height) return "outside";
        if (layout.at(x + layout.cellWidth - 1, y + layout.cellHeight - 1) !== place) return "at";
        cells.add(`${x} ${y}`);
      }
      return cells.size;
    });"""
    sizes = [(n, w, h) for n in (1, 2, 77, 5_000, 50_000) for w, h in ((853, 320), (330, 560))]
    assert run("map_layout", body, sizes) == [n for n, _, _ in sizes]


def test_the_server_s_time_is_what_the_quickest_of_its_words_said(run: Run) -> None:
    body = """const clock = new m.ServerClock();
      for (const [at, local] of given) clock.heard(at, local);
      return clock.nowMs(100);"""
    assert run("server_clock", body, [[5_000, 40], [5_035, 50], [5_030, 60]]) == 5_085


def test_a_stepped_clock_is_believed_after_some_words(run: Run) -> None:
    body = """const clock = new m.ServerClock();
      clock.heard(900_000, 0);
      for (let n = 1; n <= m.SAYINGS_MAX; n += 1) clock.heard(5_000 + n, n);
      return clock.nowMs(100);"""
    assert run("server_clock", body) == 5_100


def test_pages_do_not_come_back_all_at_once_nor_too_late(run: Run) -> None:
    body = """const backoff = new m.Backoff();
      return Array.from({ length: 40 }, () => backoff.nextMs(given));"""
    soon, late = run("backoff", body, 0), run("backoff", body, 1)
    assert all(a < b for a, b in zip(soon, late, strict=True))
    assert sum(late[:4]) <= 2_500  # a web child that was killed is back by then
    assert max(late) == 5_000


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({}, "live"),
        ({"reasons": ["receiver-0 waits for its gateway"]}, "warned"),
        ({"live": False, "stale_since": "2026-11-22T06:40:00.000Z", "stale_agents": 9}, "stale"),
        ({"live": False, "stale_since": "2026-11-22T06:40:00.000Z", "stale_agents": 4}, "partly"),
        ({"live": False, "stale_since": 1_795_332_028_727, "stale_agents": 9}, "stale"),
        ({"live": False, "stale_since": 0, "stale_agents": 9}, "stale"),
        ({"live": False, "stale_agents": 0}, "stale"),
        ({"live": False, "lagging": True, "stale_agents": 4}, "lagging"),
    ],
)
def test_what_the_server_says_of_its_health_is_one_word(
    run: Run, said: dict[str, Any], word: str
) -> None:
    calm: dict[str, Any] = {
        "live": True,
        "lagging": False,
        "stale_since": None,
        "stale_agents": 0,
        "reasons": [],
    }
    given = {"said": {**calm, **said}, "agents": 9, "heardMs": 0, "silentMs": 1_000}
    verdict = run("health", "return m.judge({ isLocked: false, ...given });", given)
    assert verdict["word"] == word
    assert verdict["isNow"] == (word in {"live", "warned", "partly"})
    silent = run("health", "return m.judge({ ...given, silentMs: 1900 });", given)
    assert (silent["word"], silent["isNow"]) == ("dead", False)


def test_everybody_becomes_stale_at_one_word(run: Run) -> None:
    body = """const store = new m.Store();
      store.applySnapshot(given);
      store.takeChanged();
      store.applyChanges({ at: 1, stale: 1 });
      const all = [...store.agents.values()].every(({ isStale }) => isStale);
      const changed = store.takeChanged().size;
      store.applyChanges({ at: 2, stale: 0 });
      return [all, changed, [...store.agents.values()].some(({ isStale }) => isStale)];"""
    assert run("store", body, Stub(9).snapshot_body()) == [True, 9, False]


def test_a_store_that_missed_nothing_and_one_that_is_read_anew_are_equal(run: Run) -> None:
    stub = Stub(200)
    body = """const store = new m.Store();
      store.applySnapshot(given.before);
      for (const each of given.changes) store.applyChanges(each);
      const anew = new m.Store();
      anew.applySnapshot(given.after);
      const told = ({ agents, queues, byState }) => JSON.stringify([
        [...agents.values()].map(({ id, state, since, queues: within, presence, isStale }) =>
          [id, state, since, within, presence, isStale]).sort(),
        [...queues.values()].map(({ id, agents: n, byState: counts }) =>
          [id, n, Object.entries(counts).filter(([, each]) => each).sort()]).sort(),
        Object.entries(byState).sort()]);
      return [told(store), told(anew), [...store.takeChanged()].length, store.last.length];"""
    before, changes = json.loads(json.dumps(stub.snapshot_body())), []
    for _ in range(20):
        stub.change(stub.organisation.rng.choice(stub.organisation.agents), "Wrapped Up")
        changes.append(stub.take_event())
    given = {"before": before, "changes": changes, "after": stub.snapshot_body()}
    one, other, changed, last = run("store", body, given)
    assert one == other
    assert (changed, last) == (200, 20)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_states_differ_for_every_kind_of_eye(engine: Page, theme: str) -> None:
    body = """(theme) => {
      document.documentElement.dataset.theme = theme;
      const probe = document.body.appendChild(document.createElement("i"));
      const of = (hue) => { probe.style.color = `var(--hue-${hue})`;
        return getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number); };
      return [0, 1, 2, 3, 4, 5].map(of);
    }"""
    colours = engine.evaluate(body, theme)
    assert len({tuple(each) for each in colours}) == 6
    for kind, matrix in SEEN.items():
        seen = [_oklab(_through(matrix, [_linear(each) for each in rgb])) for rgb in colours]
        for (one, a), (other, b) in combinations(enumerate(seen), 2):
            distance = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5
            assert distance >= DISTANCE_MIN, f"hues {one} and {other}, seen {kind}, in {theme}"


def _linear(value: float) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _through(matrix: Any, colour: list[float]) -> list[float]:
    rows = (sum(a * b for a, b in zip(row, colour, strict=True)) for row in matrix)
    return [min(1.0, max(0.0, value)) for value in rows]


def _oklab(rgb: list[float]) -> list[float]:
    cones = _through(
        (
            (0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005),
        ),
        rgb,
    )
    m = [value ** (1 / 3) for value in cones]
    lab = (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
    return [100 * sum(a * b for a, b in zip(row, m, strict=True)) for row in lab]
