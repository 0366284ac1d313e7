// QueuesView: each queue by name, and how many of its agents are in which state. Knows no network.

import { count } from "./durations.js";
import { byId, element, setAttribute, setText, stateMark } from "./elements.js";
import { VirtualList } from "./virtual_list.js";

export class QueuesView {
  #board;
  #list;
  #states = [];
  #sort = "name"; // or a state: the fewest first, who is short of them stands on top
  #collator = new Intl.Collator(undefined, { numeric: true });

  constructor(board) {
    this.#board = board;
    this.#list = new VirtualList(byId("queues"), byId("queues-rows"), {
      make: () => this.#makeRow(),
      fill: (row, queue) => this.#fill(row, queue),
      open: ({ id }) => board.select({ queue: board.selection.queue === id ? null : id }),
    });
    byId("queues-by-name").addEventListener("click", () => this.#order("name"));
    byId("queues-find").addEventListener("input", () => this.showAll());
  }

  showAll() {
    const states = this.#board.states();
    if (states.join() !== this.#states.join()) this.#showHead(states);
    const wanted = byId("queues-find").value.trim().toLowerCase();
    const found = [...this.#board.store.queues.values()].filter(({ agents, id, label }) =>
      agents > 0 && (!wanted || label.toLowerCase().includes(wanted) || id.includes(wanted)));
    const of = ({ byState }) => byState[this.#sort] ?? 0;
    found.sort((a, b) => (this.#sort === "name" ? 0 : of(a) - of(b))
      || this.#collator.compare(a.label, b.label));
    this.#list.show(found);
    setText(byId("queues-count"), count(found.length));
    byId("queues-none").hidden = found.length > 0;
    this.#showUnknown();
  }

  showChanged() {
    this.#list.refresh();
    this.#showUnknown();
  }

  #showUnknown() {
    const unknown = this.#board.store.queuesUnknown;
    byId("queues-unknown").hidden = unknown === 0;
    setText(byId("queues-unknown"), `The queues of ${count(unknown)} agents are not known yet: `
      + "they are missing here.");
  }

  #order(sort) {
    this.#sort = sort;
    setAttribute(byId("queues-by-name").parentElement, "aria-sort",
      sort === "name" ? "ascending" : null);
    for (const button of byId("queues-head").querySelectorAll("[data-state]")) {
      setAttribute(button.parentElement, "aria-sort",
        button.dataset.state === sort ? "ascending" : null);
    }
    this.showAll();
  }

  /** One column for each state that there is. */
  #showHead(states) {
    this.#states = states;
    const head = byId("queues-head");
    while (head.children.length > 2) head.lastChild.remove();
    for (const state of states) {
      const label = `Sort by ${state}, fewest first`;
      const button = element("button", {
        type: "button", "data-state": state, "aria-label": label, title: label,
      }, stateMark(this.#board.palette, state));
      button.addEventListener("click", () => this.#order(state));
      head.append(element("div", { class: "number", role: "columnheader" }, button));
    }
    byId("queues-rows").style.setProperty("--states", states.length);
    head.style.setProperty("--states", states.length);
  }

  #makeRow() {
    const cell = (name, ...children) => element("div", { class: name, role: "gridcell" },
      ...children);
    return element("div", { role: "row" }, cell("name", element("bdi")), cell("number total"));
  }

  #fill(row, queue) {
    while (row.children.length - 2 < this.#states.length) {
      row.append(element("div", { class: "number", role: "gridcell" }));
    }
    setText(row.children[0].firstChild, queue.label);
    setAttribute(row.children[0], "title", queue.label);
    setText(row.children[1], count(queue.agents));
    this.#states.forEach((state, index) => {
      const number = queue.byState[state] ?? 0;
      setText(row.children[index + 2], number ? count(number) : "·");
      setAttribute(row.children[index + 2], "data-zero", number === 0);
    });
    setAttribute(row, "data-chosen", this.#board.selection.queue === queue.id);
    // Nobody to give work to, while others of the queue work: what a supervisor looks for.
    // While somebody may be missing here, nobody can say so.
    const isCertain = this.#board.isNow && this.#board.store.queuesUnknown === 0;
    setAttribute(row, "data-short", isCertain && (queue.byState.Available ?? 0) === 0);
  }
}
