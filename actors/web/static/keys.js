// Keys: what works from everywhere on the page. What a grid or the map does with keys is theirs.

import { byId } from "./elements.js";

const JUMPS = { m: "map-frame", a: "agents", q: "queues" };

export function followKeys(board, bar) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, select, textarea");
    const isOverlaid = document.querySelector("dialog[open]") !== null;
    if (isOverlaid || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (isTyping) event.target.blur();
      bar.clear();
    } else if (!isTyping && event.key === "/") {
      bar.focus();
    } else if (!isTyping && event.key === "?") {
      byId("keys").showModal();
    } else if (!isTyping && event.key in JUMPS) {
      byId(JUMPS[event.key]).focus();
    } else if (isTyping && event.target === byId("search") && event.key === "ArrowDown") {
      byId("agents").focus();
    } else {
      return;
    }
    event.preventDefault();
  });
  byId("keys-close").addEventListener("click", () => byId("keys").close());
  byId("keys-open").addEventListener("click", () => byId("keys").showModal());
}
