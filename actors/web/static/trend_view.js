// TrendView: how the counts went in the last hour, as stacked areas. Knows no network.

import { byId, setAttribute } from "./elements.js";

const MINUTES = 60;
const WIDTH = 600;
const HEIGHT = 100;
const SVG = "http://www.w3.org/2000/svg";

export class TrendView {
  #board;
  #areas = new Map(); // state → path

  constructor(board) {
    this.#board = board;
  }

  showAll() {
    const { store } = this.#board;
    const states = this.#board.states().toReversed(); // the first state on top, as in the tiles
    const points = samples(store.summary?.history ?? [], store.byState, store.atMs);
    const most = Math.max(1, ...points.map(({ byState }) => total(byState)));
    const floor = points.map(() => 0);
    for (const state of states) {
      const under = [...floor];
      points.forEach(({ byState }, index) => { floor[index] += byState[state] ?? 0; });
      setAttribute(this.#area(state), "d", area(points, under, floor, most));
    }
    byId("trend-none").hidden = points.length > 1;
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

/** `{x, byState}`, the oldest first: what the server has kept, and now. */
export function samples(history, byState, atMs) {
  const points = history.map(({ at, by_state: then }) => ({ atMs: Date.parse(at), byState: then }));
  points.push({ atMs, byState });
  return points
    .map(({ atMs: then, byState: counts }) => ({
      x: WIDTH * (1 - (atMs - then) / (MINUTES * 60_000)), byState: counts,
    }))
    .filter(({ x }) => x >= 0 && x <= WIDTH);
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
