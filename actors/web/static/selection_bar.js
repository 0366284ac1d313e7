// SelectionBar: the search, and what else is selected, so that nobody forgets it. Knows no network.

import { byId, setText } from "./elements.js";

export class SelectionBar {
  #board;
  #search = byId("search");

  constructor(board) {
    this.#board = board;
    this.#search.addEventListener("input", () => board.select({ search: this.#search.value }));
    byId("select-everybody").addEventListener("click", () => this.clear());
    byId("stale-count").addEventListener("click", () => {
      board.select({ isStaleOnly: !board.selection.isStaleOnly });
    });
  }

  focus() {
    this.#search.focus();
    this.#search.select();
  }

  /** Everybody again; whether that is another selection. */
  clear() {
    if (this.#board.selection.isEverybody) return false;
    this.#search.value = "";
    this.#board.selection.clear();
    this.#board.select({});
    return true;
  }

  show() {
    const { selection, store } = this.#board;
    const said = [
      selection.state,
      selection.queue === null ? null : store.queueLabel(selection.queue),
      selection.isStaleOnly ? "not confirmed" : null,
      selection.text === "" ? null : `“${selection.text}”`,
    ].filter((each) => each !== null);
    byId("selected").hidden = said.length === 0;
    setText(byId("selected-words"), said.join(" · "));
  }
}
