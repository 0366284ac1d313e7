// MapCanvas: the pixels of the map. Knows looks and places, no agent.
//
// It remembers what each place looks like and writes only the cells that look different.

import { NOBODY } from "./map_sprites.js";

const SINGLE_MAX = 1500; // so many cells are put one by one, more of them all at once

export class MapCanvas {
  #canvas;
  #context;
  #image = null;
  #pixels = null;
  #looks = new Uint16Array(0);
  #dirty = [];
  #layout;
  #sprites;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  /** Everything has to be shown again. */
  begin(layout, sprites) {
    this.#layout = layout;
    this.#sprites = sprites;
    this.#canvas.width = Math.max(1, layout.columns * layout.cellWidth);
    this.#canvas.height = Math.max(1, layout.rows * layout.cellHeight);
    this.#image = this.#context.createImageData(this.#canvas.width, this.#canvas.height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    this.#looks = new Uint16Array(layout.columns * layout.rows).fill(NOBODY - 1);
    this.#dirty = [];
    for (let place = layout.places; place < this.#looks.length; place += 1) {
      this.show(place, NOBODY);
    }
  }

  show(place, look) {
    if (this.#looks[place] === look) return;
    this.#looks[place] = look;
    const { cellWidth, cellHeight } = this.#layout;
    const sprite = this.#sprites.pixels(look);
    const [pixels, stride] = [this.#pixels, this.#canvas.width];
    let to = this.#layout.y(place) * stride + this.#layout.x(place);
    for (let row = 0, from = 0; row < cellHeight; row += 1, to += stride - cellWidth) {
      for (let column = 0; column < cellWidth; column += 1) pixels[to++] = sprite[from++];
    }
    this.#dirty.push(place);
  }

  /** What was shown becomes visible. */
  flush() {
    const { cellWidth, cellHeight } = this.#layout;
    if (this.#dirty.length > SINGLE_MAX) {
      this.#context.putImageData(this.#image, 0, 0);
    } else {
      for (const place of this.#dirty) {
        const [x, y] = [this.#layout.x(place), this.#layout.y(place)];
        this.#context.putImageData(this.#image, 0, 0, x, y, cellWidth, cellHeight);
      }
    }
    this.#dirty = [];
  }
}
