// Elements: makes parts of the page. Text only ever becomes text: what agents are called is written
// by strangers. Knows no agent.

/** `attributes`: by name, `true` for one without a value, false or null for none at all. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Writes only what differs: a write, even of the same text, costs a layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** A state's colour and letter, and its name beside it. */
export function stateMark(palette, state) {
  const mark = element("span", { class: "mark", "aria-hidden": "true" });
  showMark(mark, palette, state, false);
  return mark;
}

export function showMark(mark, palette, state, isStale) {
  setText(mark, palette.letter(state));
  setAttribute(mark, "data-hue", palette.hue(state));
  setAttribute(mark, "data-stale", isStale);
}

export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}
