// Board: what every view may ask: what is known, what is selected, what time it is. Knows no view.

import { KNOWN_STATES, Palette } from "./palette.js";
import { Selection } from "./selection.js";
import { ServerClock } from "./server_clock.js";
import { Store } from "./store.js";

export class Board {
  store = new Store();
  palette = new Palette();
  selection = new Selection();
  isNow = false; // whether what is known is what is
  #clock = new ServerClock();
  #states = new Set(KNOWN_STATES);
  #on;

  /** `on.select` after another selection, `on.open` to see one agent from near. */
  constructor(on) {
    this.#on = on;
  }

  heard(atMs, localMs) {
    this.#clock.heard(atMs, localMs);
  }

  /** Those that everybody knows and those that anybody was in: a tile that came and went with the
   * last agent in it would move all others. */
  states() {
    for (const state of Object.keys(this.store.byState)) this.#states.add(state);
    return this.palette.sorted(this.#states);
  }

  /** The server's time; while nothing is confirmed, the time at which it last was: a clock that
   * went on would make old states look alive. */
  nowMs() {
    return this.isNow ? this.#clock.nowMs(performance.now()) : this.store.atMs;
  }

  select(change) {
    Object.assign(this.selection, change);
    this.#on.select();
  }

  open(agent) {
    this.#on.open(agent);
  }

  /** "Talking 3:12"; "was Talking" of whom it is not certain. */
  stateWords(agent, inWords) {
    if (agent.isStale || !this.isNow) return `was ${agent.state}, not confirmed`;
    return `${agent.state} ${inWords((this.nowMs() - agent.since) / 1000)}`;
  }
}
