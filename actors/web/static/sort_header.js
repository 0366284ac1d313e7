// SortHeader: the heads of a grid's columns, which say and change its order. Knows no rows.

import { setAttribute } from "./elements.js";

export class SortHeader {
  #buttons;
  #onSort;

  /** Each `[data-sort]` in `head` is a button in a columnheader; its value is the order that the
   * first press asks for, and a second one turns it round. */
  constructor(head, sort, onSort) {
    this.#buttons = [...head.querySelectorAll("[data-sort]")];
    this.#onSort = onSort;
    for (const button of this.#buttons) {
      button.addEventListener("click", () => this.#press(button));
    }
    this.#show(sort);
  }

  #press(button) {
    const { sort: first } = button.dataset;
    const isPressed = button.dataset.now === first;
    const turned = first.startsWith("-") ? first.slice(1) : `-${first}`;
    const sort = isPressed ? turned : first;
    this.#show(sort);
    this.#onSort(sort);
  }

  #show(sort) {
    for (const button of this.#buttons) {
      const isMine = button.dataset.sort.replace("-", "") === sort.replace("-", "");
      const way = sort.startsWith("-") ? "descending" : "ascending";
      setAttribute(button, "data-now", isMine ? sort : null);
      setAttribute(button.closest("[role=columnheader]"), "aria-sort", isMine ? way : null);
    }
  }
}
