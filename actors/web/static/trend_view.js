// TrendView: how the counts went in the last hour, as stacked areas. Knows no network.

import { byId, setAttribute, setText } from "./elements.js";

const SPAN_MS_MAX = 3_600_000;
const SPAN_MS_MIN = 60_000;
const SAMPLE_EVERY_MS = 5000; // the server keeps a sample a minute, the page more of what it sees
const WIDTH = 600;
const HEIGHT = 100;
const SVG = "http://www.w3.org/2000/svg";

export class TrendView {
  #board;
  #areas = new Map(); // state → path
  #seen = []; // samples of our own

  constructor(board) {
    this.#board = board;
  }

  showAll() {
    const { store } = this.#board;
    const states = this.#board.states().toReversed(); // the first state on top, as in the tiles
    const { points, spanMs } = samples(store.summary?.history ?? [], this.#seen, store);
    const most = Math.max(1, ...points.map(({ byState }) => total(byState)));
    const floor = points.map(() => 0);
    for (const state of states) {
      const under = [...floor];
      points.forEach(({ byState }, index) => { floor[index] += byState[state] ?? 0; });
      setAttribute(this.#area(state), "d", area(points, under, floor, most));
    }
    setText(byId("trend-from"), `−${Math.round(spanMs / 60_000)} min`);
  }

  /** Every second. */
  tick() {
    const { isNow, store } = this.#board;
    if (!isNow || store.atMs < (this.#seen.at(-1)?.atMs ?? 0) + SAMPLE_EVERY_MS) return;
    this.#seen.push({ atMs: store.atMs, byState: store.byState });
    if (this.#seen[0].atMs < store.atMs - SPAN_MS_MAX) this.#seen.shift();
    this.showAll();
  }

  #area(state) {
    let path = this.#areas.get(state);
    if (!path) {
      path = document.createElementNS(SVG, "path");
      path.setAttribute("data-hue", this.#board.palette.hue(state));
      byId("trend").append(path);
      this.#areas.set(state, path);
    }
    return path;
  }
}

/** `{x, byState}`, the oldest first: what the server has kept, what was seen since, and now. */
export function samples(history, seen, { byState, atMs }) {
  const kept = history.map(({ at, by_state: then }) => ({ atMs: Date.parse(at), byState: then }));
  // A server that knew nobody yet has seen nothing.
  const all = [...kept, ...seen, { atMs, byState }].filter(({ byState: then }) => total(then) > 0)
    .sort((a, b) => a.atMs - b.atMs);
  const oldestMs = Math.max(0, ...all.map((each) => atMs - each.atMs));
  const spanMs = Math.min(Math.max(oldestMs, SPAN_MS_MIN), SPAN_MS_MAX);
  const points = all
    .map(({ atMs: then, byState: counts }) => ({
      x: WIDTH * (1 - (atMs - then) / spanMs), byState: counts,
    }))
    .filter(({ x }) => x >= 0 && x <= WIDTH);
  return { points, spanMs };
}

function area(points, under, over, most) {
  const at = ({ x }, value) => `${x.toFixed(1)},${(HEIGHT * (1 - value / most)).toFixed(1)}`;
  const there = points.map((point, index) => at(point, over[index]));
  const back = points.map((point, index) => at(point, under[index])).reverse();
  return points.length > 1 ? `M${[...there, ...back].join("L")}Z` : "";
}

function total(byState) {
  return Object.values(byState).reduce((sum, each) => sum + each, 0);
}
