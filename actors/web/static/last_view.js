// LastView: the newest transitions, the newest first. Knows no network.

import { clockTime } from "./durations.js";
import { byId, element, setAttribute, setText, showMark } from "./elements.js";

const SHOWN_MAX = 60;
const EVERY_MS = 700; // a list that moves more often cannot be read

export class LastView {
  #board;
  #rows = [];
  #shownMs = -Infinity;
  #isOutdated = false;

  constructor(board) {
    this.#board = board;
  }

  showChanged() {
    this.#isOutdated = true;
    if (performance.now() - this.#shownMs >= EVERY_MS) this.showAll();
  }

  tick() {
    if (this.#isOutdated) this.showAll();
  }

  showAll() {
    const { palette, store } = this.#board;
    const shown = store.last.slice(0, SHOWN_MAX);
    while (this.#rows.length < shown.length) this.#addRow();
    this.#rows.forEach((row, index) => {
      const each = shown[index];
      row.node.hidden = !each;
      if (!each) return;
      row.id = each.id;
      setText(row.time, clockTime(each.atMs));
      setText(row.name, store.agents.get(each.id)?.label ?? each.id);
      showMark(row.from, palette, each.from ?? "Unknown", true);
      showMark(row.to, palette, each.to, false);
      setText(row.state, each.to);
      setAttribute(row.node, "data-cause", each.cause);
    });
    byId("last-none").hidden = shown.length > 0;
    this.#shownMs = performance.now();
    this.#isOutdated = false;
  }

  #addRow() {
    const mark = () => element("span", { class: "mark", "aria-hidden": "true" });
    const row = {
      id: "", time: element("span", { class: "when" }), name: element("bdi"), from: mark(),
      to: mark(), state: element("span", { class: "to" }),
    };
    const button = element("button", { type: "button" }, row.time,
      element("span", { class: "who" }, row.name), row.from,
      element("span", { class: "arrow", "aria-hidden": "true" }, "→"), row.to, row.state);
    button.addEventListener("click", () => {
      const agent = this.#board.store.agents.get(row.id);
      if (agent) this.#board.open(agent);
    });
    row.node = element("li", {}, button);
    this.#rows.push(row);
    byId("last").append(row.node);
  }
}
