// SseParser: the text of an event stream becomes events. Knows no network and no clock.

export class SseParser {
  #rest = "";
  #searched = 0; // no event ends before this offset of the rest

  /** The events that this piece of text completes: `{id, event, data}`, all of them strings. */
  push(text) {
    this.#rest += text.includes("\r") ? text.replaceAll("\r\n", "\n") : text;
    const events = [];
    let begin = 0;
    for (;;) {
      const end = this.#rest.indexOf("\n\n", Math.max(begin, this.#searched - 1));
      if (end < 0) break;
      const event = parseEvent(this.#rest.slice(begin, end));
      if (event) events.push(event);
      begin = end + 2;
    }
    this.#rest = this.#rest.slice(begin);
    this.#searched = this.#rest.length;
    return events;
  }
}

/** null for a comment: a proxy's, or ours to keep a connection open. */
function parseEvent(block) {
  const event = { id: "", event: "message", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    const field = line.slice(0, colon);
    if (field === "data") data.push(value);
    else if (field in event) event[field] = value;
  }
  event.data = data.join("\n");
  return data.length ? event : null;
}
