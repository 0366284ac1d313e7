// Health: how far what is shown may be believed, in one word and in words for people. Knows no page.
//
// The words, the worst first: locked, dead, lagging, stale, partly, warned, live. Only of the last
// three are states shown as they are now; all others are shown as what they are: old.

import { clockTime, count } from "./durations.js";

/** The server speaks every second. Two seconds of silence must be seen within two seconds, so what
 * it takes to say so is taken off. */
export const SILENCE_MS_MAX = 1850;

const SHOWS_NOW = new Set(["live", "partly", "warned"]);

/** `said`: the server's health, null before it has said any; `agents`: how many there are;
 * `heardMs`: the server's time when it was heard last; `silentMs`: how long ago that is. */
export function judge({ said, agents, isLocked, heardMs, silentMs }) {
  const verdict = judged(said, agents, isLocked, heardMs, silentMs);
  return { ...verdict, isNow: SHOWS_NOW.has(verdict.word) };
}

function judged(said, agents, isLocked, heardMs, silentMs) {
  if (isLocked) return word("locked", "Locked", "Sign in to see the agents");
  if (said === null && silentMs <= SILENCE_MS_MAX) return word("waiting", "Connecting", "");
  if (said === null || silentMs > SILENCE_MS_MAX) {
    const since = said === null ? "" : ` since ${clockTime(heardMs)}: the data shown is outdated`;
    return word("dead", "No connection", `No response from the server${since}`);
  }
  const { live, lagging, stale_since: since, stale_agents: stale, reasons = [] } = said;
  if (lagging) return word("lagging", "Catching up", "Some agents may be missing or outdated", reasons);
  const when = sinceWords(since);
  if (stale > 0 && stale < agents) {
    const who = `${count(stale)} agent${stale === 1 ? " is" : "s are"}`;
    return word("partly", "Partly stale", `${who} not confirmed${when}`, reasons);
  }
  if (!live) return word("stale", "Stale", `Not confirmed${when}: the data shown is outdated`, reasons);
  if (reasons.length) return word("warned", "Attention", reasons[0], reasons.slice(1));
  return word("live", "Live", "");
}

/** The stream says ms, the snapshot's summary ISO; 0: it was never confirmed. */
function sinceWords(since) {
  const atMs = typeof since === "string" ? Date.parse(since) : since;
  return atMs ? ` since ${clockTime(atMs)}` : "";
}

function word(name, title, text, reasons = []) {
  return { word: name, title, text, reasons };
}
