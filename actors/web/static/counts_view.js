// CountsView: how many agents are in each state, readable from afar. Knows no network.

import { count } from "./durations.js";
import { byId, element, setAttribute, setText, stateMark } from "./elements.js";
import { slowness } from "./palette.js";

export class CountsView {
  #board;
  #tiles = new Map(); // state → its parts
  #slow = new Map(); // state → how many are there too long

  constructor(board) {
    this.#board = board;
  }

  showAll() {
    const { selection, store } = this.#board;
    const states = this.#board.states();
    if (states.join() !== [...this.#tiles.keys()].join()) this.#make(states);
    const counts = store.counts(selection.queue);
    const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
    for (const [state, tile] of this.#tiles) {
      const number = counts[state] ?? 0;
      setText(tile.number, count(number));
      setAttribute(tile.button, "aria-pressed", selection.state === state);
      setText(tile.share, this.#board.isNow ? share(number, all) : "last known");
      const slow = this.#board.isNow ? this.#slow.get(state) ?? 0 : 0;
      setText(tile.slow.firstChild, count(slow));
      tile.slow.hidden = slow === 0;
    }
    const most = Math.max(0, ...Object.values(counts));
    setAttribute(byId("counts"), "data-digits", String(most).length); // one size for all tiles
    this.#showStale(store.health?.stale_agents ?? 0);
  }

  /** Every second: who has been too long where they are. */
  tick() {
    const { selection, store } = this.#board;
    const nowMs = this.#board.nowMs();
    const thresholds = store.summary?.thresholds;
    this.#slow.clear();
    for (const agent of store.agents.values()) {
      const isMine = selection.queue === null || agent.queues.includes(selection.queue);
      if (isMine && slowness(agent, thresholds, nowMs) === 2) {
        this.#slow.set(agent.state, (this.#slow.get(agent.state) ?? 0) + 1);
      }
    }
    this.showAll();
  }

  #showStale(agents) {
    const button = byId("stale-count");
    button.hidden = agents === 0;
    setText(button, `${count(agents)} not confirmed`);
    setAttribute(button, "aria-pressed", this.#board.selection.isStaleOnly);
  }

  #make(states) {
    this.#tiles.clear();
    for (const state of states) this.#tiles.set(state, this.#tile(state));
    byId("counts").replaceChildren(...[...this.#tiles.values()].map(({ button }) => button));
  }

  #tile(state) {
    const { palette } = this.#board;
    const parts = {
      number: element("span", { class: "big" }),
      share: element("span", { class: "share" }),
      slow: element("span", { class: "slow", hidden: true }, "", element("span", {}, " too long")),
    };
    parts.button = element("button", {
      type: "button", class: "tile", "data-hue": palette.hue(state), "data-state": state,
    },
    element("span", { class: "label" }, stateMark(palette, state), element("span", {}, state)),
    parts.number,
    element("span", { class: "below" }, parts.share, parts.slow));
    parts.button.addEventListener("click", () => {
      this.#board.select({ state: this.#board.selection.state === state ? null : state });
    });
    return parts;
  }
}

function share(number, all) {
  if (all === 0) return "";
  const percent = (100 * number) / all;
  return percent > 0 && percent < 1 ? "< 1 %" : `${Math.round(percent)} %`;
}
