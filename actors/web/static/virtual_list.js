// VirtualList: a grid of any number of rows of which only those in sight exist. Knows no agent.
//
// Follows the ARIA pattern of a grid whose focus stays with the grid: the row under the cursor is
// its active descendant. The cursor belongs to what the row shows, and moves with it.

import { element, setAttribute } from "./elements.js";

const SPARE = 4; // rows above and below what is in sight

export class VirtualList {
  #grid;
  #scroller;
  #sizer = element("div", { class: "sizer", role: "presentation" });
  #rows = [];
  #items = [];
  #cursor = null;
  #make;
  #fill;
  #open;
  #rowHeight;

  /** `make()` gives a row, `fill(row, item)` shows an item in it, `open(item)` is what Enter and a
   * click do. `grid` holds the `scroller`. */
  constructor(grid, scroller, { make, fill, open }) {
    [this.#grid, this.#scroller] = [grid, scroller];
    [this.#make, this.#fill, this.#open] = [make, fill, open];
    scroller.append(this.#sizer);
    scroller.addEventListener("scroll", () => this.refresh(), { passive: true });
    scroller.addEventListener("click", (event) => this.#onClick(event));
    grid.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.refresh()).observe(scroller);
  }

  show(items) {
    this.#items = items;
    setAttribute(this.#grid, "aria-rowcount", items.length + 1);
    this.refresh();
  }

  /** Shows again what is in sight. */
  refresh() {
    const height = this.#height();
    this.#sizer.style.height = `${this.#items.length * height}px`;
    const from = Math.max(0, Math.floor(this.#scroller.scrollTop / height) - SPARE);
    const sight = Math.ceil(this.#scroller.clientHeight / height) + 2 * SPARE;
    const upTo = Math.min(this.#items.length, from + sight);
    while (this.#rows.length < upTo - from) this.#addRow();
    this.#rows.forEach((row, offset) => {
      const index = from + offset;
      row.hidden = index >= upTo;
      if (row.hidden) return;
      row.style.transform = `translateY(${index * height}px)`;
      setAttribute(row, "aria-rowindex", index + 2);
      setAttribute(row, "aria-selected", this.#items[index] === this.#cursor);
      row.item = this.#items[index];
      this.#fill(row, row.item);
    });
    this.#showActive();
  }

  /** Rows are as high as app.css says, which differs by device. */
  #height() {
    if (!this.#rowHeight) {
      this.#rowHeight = parseFloat(getComputedStyle(this.#scroller).getPropertyValue("--row")) || 32;
    }
    return this.#rowHeight;
  }

  #addRow() {
    const row = this.#make();
    row.classList.add("row");
    row.id = `${this.#grid.id}-row-${this.#rows.length}`;
    this.#rows.push(row);
    this.#sizer.append(row);
  }

  #onClick(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    this.#cursor = row.item;
    this.refresh();
    this.#open(row.item);
  }

  #onKey(event) {
    if (event.target !== this.#grid || !this.#items.length) return;
    if (event.key === "Enter" || event.key === " ") {
      if (this.#cursor) this.#open(this.#cursor);
    } else {
      const index = this.#step(this.#items.indexOf(this.#cursor), event.key);
      if (index === null) return;
      this.#cursor = this.#items[Math.max(0, Math.min(index, this.#items.length - 1))];
      this.#reveal();
      this.refresh();
    }
    event.preventDefault();
  }

  #step(index, key) {
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height()) - 1);
    switch (key) {
      case "ArrowDown": return index + 1;
      case "ArrowUp": return index < 0 ? 0 : index - 1;
      case "PageDown": return index + page;
      case "PageUp": return index - page;
      case "Home": return 0;
      case "End": return this.#items.length - 1;
      default: return null;
    }
  }

  #reveal() {
    const height = this.#height();
    const top = this.#items.indexOf(this.#cursor) * height;
    const sight = this.#scroller.clientHeight;
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    if (top + height > this.#scroller.scrollTop + sight) {
      this.#scroller.scrollTop = top + height - sight;
    }
  }

  #showActive() {
    const row = this.#rows.find((each) => !each.hidden && each.item === this.#cursor);
    setAttribute(this.#grid, "aria-activedescendant", row && this.#cursor ? row.id : null);
  }
}
