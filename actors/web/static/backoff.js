// Backoff: how long to wait before the next try. Knows no timer: chance is given.
//
// A page must be live again soon after its server is, and five hundred pages must not come at once:
// short waits for the first tries, longer ones when nobody answers for long, jitter in all.

export const FIRST_MS = 150;
export const SOON_MS_MAX = 1000;
export const SOON_TRIES = 30;
export const LATER_MS = 5000;

export class Backoff {
  #tries = 0;

  reset() {
    this.#tries = 0;
  }

  /** `chance`: 0 to 1. */
  nextMs(chance) {
    const soon = Math.min(FIRST_MS * 2 ** Math.min(this.#tries, 10), SOON_MS_MAX);
    const most = this.#tries < SOON_TRIES ? soon : LATER_MS;
    this.#tries += 1;
    return most * (0.5 + chance / 2);
  }
}
