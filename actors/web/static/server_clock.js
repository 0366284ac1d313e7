// ServerClock: what time the server has, from what it says. Knows no timer: local time is given.
//
// What the server says is old by the time that it travelled. So the truest of several sayings is
// the one that puts the server furthest ahead; sayings are forgotten, because clocks are stepped.

export const SAYINGS_MAX = 30;

export class ServerClock {
  #offsets = [];
  #offset = 0;

  /** `atMs`: the server's; `localMs`: any clock of ours that only goes forward. */
  heard(atMs, localMs) {
    this.#offsets.push(atMs - localMs);
    if (this.#offsets.length > SAYINGS_MAX) this.#offsets.shift();
    this.#offset = Math.max(...this.#offsets);
  }

  nowMs(localMs) {
    return localMs + this.#offset;
  }
}
