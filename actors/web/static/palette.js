// Palette: the colour and the letter of a state. Knows no colour value: hues are numbers, app.css
// says what they look like in light and dark.

/** In the order of the page: what a supervisor can give work to first. */
const HUES = {
  Available: 0, Talking: 1, Reserved: 2, "Wrapped Up": 3, "Not Available": 4, Unknown: 5,
};
export const KNOWN_STATES = Object.keys(HUES);
const LETTERS = { "Not Available": "N", Unknown: "?" };
export const HUES_MAX = 9; // 6, 7 and 8 are for states that only a gateway knows
const OTHER = HUES.Unknown;
const LAST = Number.MAX_SAFE_INTEGER;

export class Palette {
  #hues = new Map(Object.entries(HUES));

  /** A state that nobody named gets a colour of its own while there is one. */
  hue(state) {
    if (!this.#hues.has(state)) {
      this.#hues.set(state, this.#hues.size < HUES_MAX ? this.#hues.size : OTHER);
    }
    return this.#hues.get(state);
  }

  letter(state) {
    return LETTERS[state] ?? (state.trim()[0] ?? "?").toUpperCase();
  }

  /** States as they stand on the page, Unknown at the end. */
  sorted(states) {
    const rank = (state) => (state === "Unknown" ? LAST : this.hue(state));
    return [...states].sort((a, b) => rank(a) - rank(b));
  }

  rank(state) {
    return state === "Unknown" ? HUES_MAX : this.hue(state);
  }
}

/** 0: as usual, 1: long, 2: too long. `thresholds` are seconds. */
export function slowness(agent, thresholds, nowMs) {
  const limits = thresholds?.[agent.state];
  if (!limits || agent.isStale) return 0;
  const seconds = (nowMs - agent.since) / 1000;
  return seconds >= limits[1] ? 2 : Number(seconds >= limits[0]);
}
