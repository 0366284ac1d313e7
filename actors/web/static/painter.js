// Painter: has everything drawn that has to be, once, and no frame made late by it. Knows no view.

const FRAME_MS = 8; // of sixteen: after so much, what is left waits for the next frame

export class Painter {
  #jobs = new Set();
  #isAsked = false;

  /** Each job is called once, in the next frames, however often this is. A hidden page has none. */
  ask(...jobs) {
    for (const job of jobs) this.#jobs.add(job);
    if (this.#isAsked || this.#jobs.size === 0) return;
    this.#isAsked = true;
    requestAnimationFrame((beganMs) => this.#paint(beganMs));
  }

  #paint(beganMs) {
    this.#isAsked = false;
    for (const job of this.#jobs) {
      this.#jobs.delete(job);
      job();
      if (performance.now() - beganMs > FRAME_MS) break;
    }
    this.ask(); // for what is left
  }
}
