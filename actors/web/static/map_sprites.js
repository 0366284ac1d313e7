// MapSprites: the pixels of one cell of the map, made once for each look. Knows no agent.
//
// A look is a number: hue, slow, stale, faded. On a canvas of 50,000 cells, writing pixels is
// several times as fast as asking it to draw as many pictures.

export const NOBODY = 0xffff;
const [SLOW, STALE, FADED] = [4, 2, 1];
const SLOW_FROM = 5; // device pixels: below, a mark cannot be told from dirt

export function look(hue, isSlow, isStale, isFaded) {
  return (hue << 3) | (isSlow ? SLOW : 0) | (isStale ? STALE : 0) | (isFaded ? FADED : 0);
}

export class MapSprites {
  #pixels = new Map();
  #context;
  #layout;
  #theme;

  /** `theme`: `paper`, `stale`, `alarm`, and `hues` and `inks` by hue; `letters` by hue. */
  constructor(layout, theme) {
    this.#layout = layout;
    this.#theme = theme;
    const canvas = new OffscreenCanvas(layout.cellWidth, layout.cellHeight);
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
  }

  /** 32-bit pixels, row by row. */
  pixels(of) {
    let pixels = this.#pixels.get(of);
    if (!pixels) {
      pixels = this.#draw(of);
      this.#pixels.set(of, pixels);
    }
    return pixels;
  }

  #draw(of) {
    const { cellWidth, cellHeight, gap, hasLetters } = this.#layout;
    const [context, theme] = [this.#context, this.#theme];
    context.globalAlpha = 1;
    context.fillStyle = theme.paper;
    context.fillRect(0, 0, cellWidth, cellHeight);
    if (of !== NOBODY) {
      const [width, height] = [cellWidth - gap, cellHeight - gap];
      const [hue, isStale] = [of >> 3, Boolean(of & STALE)];
      context.globalAlpha = of & FADED ? 0.14 : 1;
      if (isStale) this.#outline(width, height);
      else this.#fill(theme.hues[hue], width, height);
      if (hasLetters) {
        this.#letter(theme.letters[hue], isStale ? theme.stale : theme.inks[hue], width, height);
      }
      if (of & SLOW && width >= SLOW_FROM) this.#corner(width);
    }
    const image = context.getImageData(0, 0, cellWidth, cellHeight);
    return new Uint32Array(image.data.buffer);
  }

  #fill(colour, width, height) {
    this.#context.fillStyle = colour;
    this.#context.fillRect(0, 0, width, height);
  }

  /** Hollow: whoever is not confirmed is not there for sure. */
  #outline(width, height) {
    this.#fill(this.#theme.stale, width, height);
    if (width < 3) return;
    this.#context.fillStyle = this.#theme.paper;
    this.#context.fillRect(1, 1, width - 2, height - 2);
  }

  #letter(letter, ink, width, height) {
    const context = this.#context;
    context.fillStyle = ink;
    context.font = `600 ${Math.round(height * 0.66)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(letter, width / 2, height / 2 + height * 0.04);
  }

  #corner(width) {
    const size = Math.max(3, Math.round(width * 0.42));
    const context = this.#context;
    context.fillStyle = this.#theme.alarm;
    context.beginPath();
    context.moveTo(width - size, 0);
    context.lineTo(width, 0);
    context.lineTo(width, size);
    context.fill();
  }
}
