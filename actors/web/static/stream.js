// Stream: a snapshot and what follows it, for as long as the page lives. Knows no agent and no page.
//
// Not an EventSource: that tells neither why it was refused (a page must know whether to sign in)
// nor when to come back, and waits three seconds before it does.

import { ask, Problem, send } from "./api.js";
import { Backoff } from "./backoff.js";
import { SseParser } from "./sse.js";

/** So long without a word, and the connection is given up: another one may be better. */
export const GIVE_UP_MS = 4000;
const SNAPSHOT_MS_MAX = 15_000;
const LOCKED_EVERY_MS = 30_000;

export class Stream {
  #on;
  #backoff = new Backoff();
  #id = null; // of the newest event; null: a snapshot is needed
  #hurry = () => {};
  #cut = null; // of the connection in use

  /** `on`: `snapshot`, `changes` and `health` get what the server sent, `locked` whether it wants
   * a token. */
  constructor(on) {
    this.#on = on;
  }

  /** Never returns. */
  async run() {
    for (;;) {
      const waitMs = await this.#turn();
      await new Promise((resolve) => {
        this.#hurry = resolve;
        setTimeout(resolve, waitMs);
      });
    }
  }

  /** Somebody has signed in or out: what is shown may be more, or less. */
  restart() {
    this.#id = null;
    this.#backoff.reset();
    this.#cut?.abort();
    this.#hurry();
  }

  /** One connection, to its end; how long to wait before the next. */
  async #turn() {
    try {
      if (this.#id === null) await this.#snapshot();
      await this.#follow();
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        this.#on.locked(true);
        return LOCKED_EVERY_MS;
      }
      if (!(error instanceof Problem)) console.error(error); // a mistake of ours
      return Math.max(this.#backoff.nextMs(Math.random()), error.retryAfterMs ?? 0);
    }
    return this.#backoff.nextMs(Math.random());
  }

  async #snapshot() {
    this.#cut = new AbortController();
    const timer = setTimeout(() => this.#cut.abort(), SNAPSHOT_MS_MAX);
    try {
      const snapshot = await ask("/api/snapshot", { signal: this.#cut.signal });
      this.#on.locked(false);
      this.#on.snapshot(snapshot);
      this.#id = snapshot.id;
    } finally {
      clearTimeout(timer);
    }
  }

  async #follow() {
    const cut = new AbortController();
    this.#cut = cut;
    let timer = setTimeout(() => cut.abort(), GIVE_UP_MS);
    try {
      const query = new URLSearchParams({ last_event_id: this.#id });
      const headers = { Accept: "text/event-stream" };
      const response = await send(`/api/stream?${query}`, { signal: cut.signal, headers });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new SseParser();
      for (;;) {
        const { done, value } = await reader.read().catch(cutOff);
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => cut.abort(), GIVE_UP_MS);
        for (const event of parser.push(value)) this.#take(event);
      }
    } finally {
      clearTimeout(timer);
      cut.abort();
    }
  }

  #take({ id, event, data }) {
    if (event === "resync") {
      this.#id = null;
      throw new Problem(0, { detail: `resync: ${data}` });
    }
    this.#backoff.reset();
    if (id) this.#id = id;
    if (event === "changes" || event === "health") this.#on[event](JSON.parse(data));
  }
}

function cutOff(error) {
  throw new Problem(0, { detail: `The stream was interrupted: ${error.message}` });
}
