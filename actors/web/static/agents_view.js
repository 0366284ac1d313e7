// AgentsView: the agents that are selected, as a table. Knows no network.

import { count, duration } from "./durations.js";
import { byId, element, setAttribute, setText, showMark } from "./elements.js";
import { slowness } from "./palette.js";
import { Keys, ordered } from "./selection.js";
import { SortHeader } from "./sort_header.js";
import { VirtualList } from "./virtual_list.js";

export class AgentsView {
  #board;
  #list;
  #keys = new Keys();
  #isOutdated = true;

  constructor(board) {
    this.#board = board;
    this.#list = new VirtualList(byId("agents"), byId("agents-rows"), {
      make: makeRow,
      fill: (row, agent) => this.#fill(row, agent),
      open: (agent) => board.open(agent),
    });
    new SortHeader(byId("agents-head"), board.selection.sort, (sort) => {
      board.selection.sort = sort;
      byId("agents-rows").scrollTop = 0;
      this.showSelected();
    });
  }

  /** Another selection, or another order. */
  showSelected() {
    const { palette, selection, store } = this.#board;
    const nowMs = this.#board.nowMs();
    const keyOf = this.#keys.of(store, (state) => palette.rank(state));
    const found = ordered(store.agents.values(), selection, keyOf, nowMs);
    this.#list.show(found);
    const all = store.agents.size;
    setText(byId("agents-count"), found.length === all
      ? count(all) : `${count(found.length)} of ${count(all)}`);
    byId("agents-none").hidden = found.length > 0;
    this.#isOutdated = false;
  }

  /** In place: rows that jump about more often than every second cannot be read. */
  showChanged() {
    this.#isOutdated = true;
    this.#list.refresh();
  }

  /** Every second: times go on. */
  tick() {
    if (this.#isOutdated) this.showSelected();
    else this.#list.refresh();
  }

  #fill(row, agent) {
    const { palette, store } = this.#board;
    const [name, state, time, queue, presence] = row.children;
    const nowMs = this.#board.nowMs();
    const isOld = agent.isStale || !this.#board.isNow;
    const slow = isOld ? 0 : slowness(agent, store.summary?.thresholds, nowMs);
    setText(name.firstChild, agent.label);
    showMark(state.firstChild, palette, agent.state, isOld);
    setText(state.lastChild, isOld ? `was ${agent.state}` : agent.state);
    setText(time, isOld ? "not confirmed" : duration((nowMs - agent.since) / 1000));
    setAttribute(time, "data-slow", slow || null);
    setText(queue.firstChild, store.queueLabels(agent));
    setText(presence.firstChild, agent.presence ?? "");
    setAttribute(row, "data-stale", isOld);
  }
}

function makeRow() {
  const cell = (name, ...children) => element("div", { class: name, role: "gridcell" }, ...children);
  return element("div", { role: "row" },
    cell("name", element("bdi")),
    cell("state", element("span", { class: "mark", "aria-hidden": "true" }), element("span")),
    cell("time"),
    cell("queue", element("bdi")),
    cell("presence", element("bdi")));
}
