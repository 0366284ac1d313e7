// HealthView: says, where nobody can miss it, how far the page may be believed. Knows no network.

import { byId, element, setAttribute, setText } from "./elements.js";

const PLAIN = new Set(["live", "waiting"]);

export class HealthView {
  #reasons = "";

  /** `verdict`: see health.js. The whole page follows `data-health` and `data-now` of its root. */
  show(verdict, title) {
    const root = document.documentElement;
    setAttribute(root, "data-health", verdict.word);
    setAttribute(root, "data-now", verdict.isNow ? "yes" : "no");
    setText(byId("health-word"), verdict.title);
    byId("banner").hidden = PLAIN.has(verdict.word);
    setText(byId("banner-title"), verdict.title);
    setText(byId("banner-text"), verdict.text);
    this.#showReasons(verdict.reasons);
    const mark = PLAIN.has(verdict.word) ? "" : "⚠ ";
    const heading = `${mark}${title}`;
    if (document.title !== heading) document.title = heading;
  }

  #showReasons(reasons) {
    if (reasons.join("\n") === this.#reasons) return;
    this.#reasons = reasons.join("\n");
    byId("banner-reasons").replaceChildren(...reasons.map((each) => element("li", {}, each)));
  }
}
