// MapView: all agents at once, each in a place of its own; a cursor that says who. Knows no network.

import { byId, setAttribute, setText } from "./elements.js";
import { duration, spoken } from "./durations.js";
import { MapCanvas } from "./map_canvas.js";
import { MapLayout } from "./map_layout.js";
import { look, MapSprites, NOBODY } from "./map_sprites.js";
import { HUES_MAX, slowness } from "./palette.js";

export class MapView {
  #board;
  #frame = byId("map-frame");
  #canvas = new MapCanvas(byId("map"));
  #cursor = byId("map-cursor");
  #tip = byId("map-tip");
  #said = byId("map-said");
  #layout = new MapLayout(0, 1, 1, 1);
  #scale = 1;
  #size = ""; // that it was arranged for
  #place = null; // under the cursor

  /** `board`: see app.js. */
  constructor(board) {
    this.#board = board;
    new ResizeObserver(() => this.#onResize()).observe(this.#frame);
    this.#frame.addEventListener("pointermove", (event) => this.#onMove(event));
    this.#frame.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.#point(null);
    });
    this.#frame.addEventListener("click", (event) => this.#onClick(event));
    this.#frame.addEventListener("keydown", (event) => this.#onKey(event));
    this.#frame.addEventListener("blur", () => this.#point(null));
  }

  /** Everything anew: another size, other agents, another theme. */
  arrange() {
    const places = this.#board.store.places.length;
    const { clientWidth: width, clientHeight: height } = this.#frame;
    if (width === 0 || height === 0) return;
    this.#size = `${width} ${height}`;
    this.#scale = window.devicePixelRatio || 1;
    const [wide, high] = [Math.floor(width * this.#scale), Math.floor(height * this.#scale)];
    this.#layout = new MapLayout(places, wide, high, this.#scale);
    this.#canvas.begin(this.#layout, new MapSprites(this.#layout, this.#theme()));
    this.#resize(byId("map"), this.#layout.columns * this.#layout.cellWidth,
      this.#layout.rows * this.#layout.cellHeight);
    this.showAll();
    this.#showCursor();
  }

  #onResize() {
    const { clientWidth: width, clientHeight: height } = this.#frame;
    if (this.#size !== `${width} ${height}`) this.arrange();
  }

  showAll() {
    if (this.#board.store.places.length > this.#layout.places) return this.arrange();
    const isEverybody = this.#board.selection.isEverybody;
    const nowMs = this.#board.nowMs();
    this.#board.store.places.forEach((agent, place) => {
      this.#canvas.show(place, agent ? this.#look(agent, isEverybody, nowMs) : NOBODY);
    });
    this.#canvas.flush();
    return undefined;
  }

  showChanged(agents) {
    const isEverybody = this.#board.selection.isEverybody;
    const nowMs = this.#board.nowMs();
    for (const agent of agents) {
      if (agent.place >= this.#layout.places) return this.arrange();
      this.#canvas.show(agent.place, this.#look(agent, isEverybody, nowMs));
    }
    this.#canvas.flush();
    if (this.#place !== null) this.#showTip();
    return undefined;
  }

  /** Every second: time passes also for who does not change. */
  tick() {
    this.showAll();
    if (this.#place !== null) this.#showTip();
  }

  #look(agent, isEverybody, nowMs) {
    const { palette, selection, store, isNow } = this.#board;
    const slow = slowness(agent, store.summary?.thresholds, nowMs);
    const isFaded = !isEverybody && !selection.matches(agent);
    return look(palette.hue(agent.state), isNow && slow === 2, agent.isStale || !isNow, isFaded);
  }

  #theme() {
    const colour = (name) => {
      this.#cursor.style.color = `var(${name})`;
      return getComputedStyle(this.#cursor).color;
    };
    const hues = Array.from({ length: HUES_MAX }, (_, hue) => hue);
    const letters = hues.map(() => "?");
    for (const state of this.#board.states()) {
      letters[this.#board.palette.hue(state)] = this.#board.palette.letter(state);
    }
    const theme = {
      paper: colour("--card"), stale: colour("--stale"), alarm: colour("--map-alarm"), letters,
      hues: hues.map((hue) => colour(`--hue-${hue}`)),
      inks: hues.map((hue) => colour(`--ink-${hue}`)),
    };
    this.#cursor.style.removeProperty("color");
    return theme;
  }

  // -- who ---------------------------------------------------------------------------------------

  #placeOf(event) {
    const box = byId("map").getBoundingClientRect();
    const x = (event.clientX - box.left) * this.#scale;
    return this.#layout.at(x, (event.clientY - box.top) * this.#scale);
  }

  #onMove(event) {
    if (event.pointerType === "mouse") this.#point(this.#placeOf(event));
  }

  #onClick(event) {
    const place = this.#placeOf(event);
    const isOpening = event.pointerType !== "touch" || place === this.#place;
    this.#point(place);
    if (isOpening) this.#open();
  }

  #onKey(event) {
    if (event.key === "Enter") {
      this.#open();
    } else if (event.key === "Escape" && this.#place !== null) {
      this.#point(null);
      event.stopPropagation();
    } else if (/^(Arrow|Page|Home|End)/.test(event.key) && this.#layout.places) {
      this.#point(this.#layout.step(this.#place, event.key));
      this.#say();
    } else {
      return;
    }
    event.preventDefault();
  }

  #open() {
    const agent = this.#agent();
    if (agent) this.#board.open(agent);
  }

  #agent() {
    return this.#place === null ? null : this.#board.store.places[this.#place] ?? null;
  }

  #point(place) {
    this.#place = place;
    this.#showCursor();
  }

  #showCursor() {
    const isShown = this.#place !== null && this.#place < this.#layout.places;
    this.#cursor.hidden = !isShown;
    this.#tip.hidden = !isShown;
    if (!isShown) return;
    const { cellWidth, cellHeight, gap } = this.#layout;
    const [x, y] = [this.#layout.x(this.#place), this.#layout.y(this.#place)];
    this.#resize(this.#cursor, cellWidth - gap, cellHeight - gap);
    this.#cursor.style.left = `${x / this.#scale}px`;
    this.#cursor.style.top = `${y / this.#scale}px`;
    this.#showTip();
  }

  #showTip() {
    const agent = this.#agent();
    const { palette, store } = this.#board;
    const [mark, name, state, queue] = this.#tip.children;
    setText(mark, agent ? palette.letter(agent.state) : "");
    setAttribute(mark, "data-hue", agent ? palette.hue(agent.state) : null);
    setText(name, agent ? agent.label : "no agent");
    setText(state, agent ? this.#board.stateWords(agent, duration) : "");
    setText(queue, agent ? store.queueLabels(agent) : "");
    this.#placeTip();
  }

  /** Beside the cell, inside of the frame. */
  #placeTip() {
    const { clientWidth, clientHeight } = this.#frame;
    const { offsetWidth: width, offsetHeight: height } = this.#tip;
    const x = this.#layout.x(this.#place) / this.#scale;
    const y = this.#layout.y(this.#place) / this.#scale;
    const below = y + this.#layout.cellHeight / this.#scale + 6;
    this.#tip.style.left = `${Math.max(0, Math.min(x, clientWidth - width))}px`;
    this.#tip.style.top = `${below + height > clientHeight ? Math.max(0, y - height - 6) : below}px`;
  }

  /** For ears, and only what a key has led to: a mouse would never let them rest. */
  #say() {
    const agent = this.#agent();
    setText(this.#said, agent ? `${agent.label}, ${this.#board.stateWords(agent, spoken)}` : "");
  }

  #resize(node, wide, high) {
    node.style.width = `${wide / this.#scale}px`;
    node.style.height = `${high / this.#scale}px`;
  }
}
