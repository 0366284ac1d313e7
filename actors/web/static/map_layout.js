// MapLayout: which cell of a rectangle belongs to which place. Knows no canvas and no agent.
//
// Cells are whole device pixels. Below GAP_FROM they touch; a letter needs LETTER_FROM.

export const CELL_MAX = 26;
export const GAP_FROM = 4;
export const LETTER_FROM = 12;
const SLENDER = 2; // so many pixels higher than wide is still seen as one cell

export class MapLayout {
  /** Of so many places in so many device pixels; `scale`: device pixels to a CSS pixel. */
  constructor(places, width, height, scale) {
    const [cellWidth, cellHeight] = largest(places, width, height, Math.round(CELL_MAX * scale));
    this.cellWidth = cellWidth;
    this.cellHeight = cellHeight;
    this.columns = Math.max(1, Math.floor(width / cellWidth));
    this.rows = Math.ceil(places / this.columns);
    this.places = places;
    this.gap = cellWidth >= GAP_FROM ? Math.max(1, Math.round(cellWidth / 14)) : 0;
    this.hasLetters = cellWidth >= LETTER_FROM * scale;
  }

  x(place) {
    return (place % this.columns) * this.cellWidth;
  }

  y(place) {
    return Math.floor(place / this.columns) * this.cellHeight;
  }

  /** The place under a point, or null. */
  at(x, y) {
    const column = Math.floor(x / this.cellWidth);
    const place = Math.floor(y / this.cellHeight) * this.columns + column;
    return column >= 0 && column < this.columns && place >= 0 && place < this.places ? place : null;
  }

  /** Where a key leads from a place; from nowhere (null) to the first, or to the last. */
  step(place, key) {
    const ways = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -10 * this.columns, PageDown: 10 * this.columns,
    };
    if (key === "Home") return 0;
    if (key === "End") return this.places - 1;
    if (place === null) return 0;
    const there = place + ways[key];
    return there >= 0 && there < this.places ? there : place;
  }
}

/** The largest cell with which all places fit, not quite square if that makes it larger: at 50,000
 * agents a pixel is a third of it. */
function largest(places, width, height, most) {
  let [best, found] = [0, [1, 1]];
  for (let wide = 1; wide <= most; wide += 1) {
    const columns = Math.floor(width / wide);
    if (columns === 0) break;
    const high = Math.min(most, wide + SLENDER, Math.floor(height / Math.ceil(places / columns)));
    if (high < wide - 1 || high < 1) continue;
    const worth = wide * high - Math.abs(high - wide);
    if (worth > best) [best, found] = [worth, [wide, high]];
  }
  return found;
}
