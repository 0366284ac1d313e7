// AgentDialog: one agent from near: what is known now, what was before, and another presence.

import { ask, Problem } from "./api.js";
import { duration, moment } from "./durations.js";
import { byId, element, setAttribute, setText, showMark, stateMark } from "./elements.js";
import { PresenceForm } from "./presence_form.js";

const PAGE = 50;
const REFRESH_MS = 1000;

/** What the roster says of an agent, as people read it: null where there is nothing to say. */
const PROFILE = [
  ["Title", ({ title }) => title],
  ["E-mail", ({ email }) => email],
  ["User name", ({ email, user_name: userName }) => (userName === email ? null : userName)],
  ["Division", ({ division }) => division && (division.name ?? division.id)],
  ["Manager", ({ manager }) => manager && (manager.name ?? manager.id)],
  ["Skills", ({ skills }) => (skills ?? []).map(({ name }) => name).join(", ") || null],
];

export class AgentDialog {
  #board;
  #dialog = byId("agent");
  #form = new PresenceForm();
  #agent = null;
  #next = null; // where older transitions go on
  #timer = null;

  constructor(board) {
    this.#board = board;
    this.#dialog.addEventListener("close", () => this.#onClose());
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    byId("agent-close").addEventListener("click", () => this.#dialog.close());
    byId("agent-older").addEventListener("click", () => this.#read(this.#next));
  }

  open(agent) {
    const { store } = this.#board;
    this.#agent = agent;
    this.#next = null;
    byId("history").replaceChildren();
    this.#showFacts();
    this.#showProfile(null);
    if (store.summary.dialect === "cloud") this.#readProfile();
    const held = new Set([...store.agents.values()].map(({ presence }) => presence));
    held.delete(null);
    this.#form.show(agent.id, {
      dialect: store.summary.dialect, mayWrite: store.summary.may_write, held,
    });
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#read(null);
  }

  /** What may be done has changed: somebody signed in. */
  showRights() {
    if (this.#agent && this.#dialog.open) this.open(this.#agent);
  }

  showChanged(agents) {
    if (!this.#agent || !agents.has(this.#agent)) return;
    this.#showFacts();
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (this.#agent) this.#read(null);
    }, REFRESH_MS);
  }

  tick() {
    if (this.#agent) this.#showFacts();
  }

  #onClose() {
    this.#form.close();
    this.#agent = null;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #showFacts() {
    const { palette, store } = this.#board;
    const agent = this.#agent;
    const isOld = agent.isStale || !this.#board.isNow;
    setText(byId("agent-name"), agent.label);
    setText(byId("agent-id"), agent.name === null ? "" : agent.id);
    showMark(byId("agent-mark"), palette, agent.state, isOld);
    setText(byId("agent-state"), this.#board.stateWords(agent, duration));
    setAttribute(byId("agent-now"), "data-stale", isOld);
    setText(byId("agent-queue"), store.queueLabels(agent) || "no queue");
    setText(byId("agent-presence"), agent.presence ?? "unknown");
    setText(byId("agent-since"), moment(agent.since, this.#board.nowMs()));
  }

  async #readProfile() {
    const agent = this.#agent;
    try {
      const { profile } = await ask(`/api/agents/${encodeURIComponent(agent.id)}`);
      if (agent === this.#agent) this.#showProfile(profile);
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the history says what is the matter
    }
  }

  #showProfile(profile) {
    const facts = PROFILE.map(([name, told]) => [name, profile && told(profile)])
      .filter(([, text]) => text)
      .map(([name, text]) => element("div", {},
        element("dt", {}, name), element("dd", {}, element("bdi", {}, text))));
    byId("agent-profile").replaceChildren(...facts);
    byId("agent-profile").hidden = facts.length === 0;
  }

  async #read(before) {
    const agent = this.#agent;
    const query = new URLSearchParams({ limit: PAGE, ...(before === null ? {} : { before }) });
    let told;
    try {
      told = await ask(`/api/agents/${encodeURIComponent(agent.id)}/history?${query}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (agent === this.#agent) this.#sayNone(error.message);
      return;
    }
    if (agent !== this.#agent) return;
    const rows = told.transitions.map((each) => this.#row(each));
    if (before === null) byId("history").replaceChildren(...rows);
    else byId("history").append(...rows);
    this.#next = told.next;
    byId("agent-older").hidden = told.next === null;
    this.#sayNone(byId("history").children.length ? "" : "No history for this agent yet.");
  }

  #sayNone(text) {
    setText(byId("history-none"), text);
    byId("history-none").hidden = text === "";
  }

  #row({ at, to, queues, queue_names: names, cause, presence }) {
    const atMs = Date.parse(at);
    const when = element("time", { datetime: at, title: at }, moment(atMs, this.#board.nowMs()));
    return element("tr", {},
      element("td", { class: "when" }, when),
      element("td", { class: "to" }, stateMark(this.#board.palette, to), element("bdi", {}, to)),
      element("td", {}, element("bdi", {}, presence ?? "")),
      element("td", {}, element("bdi", {}, queues.map((id, place) => names[place] ?? id).join(", "))),
      element("td", { class: "cause" }, cause));
  }
}
