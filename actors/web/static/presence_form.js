// PresenceForm: changes an agent's presence and says, live, what becomes of it. Knows no store.
//
// What is asked bears one idempotency key until there is an answer: asking again after a lost one
// cannot make two commands of one.

import { ask, newKey, Problem } from "./api.js";
import { byId, element, setAttribute, setText } from "./elements.js";
import { clockTime } from "./durations.js";

const WSP = ["available", "busy", "break", "offline"];
const CLOUD = [
  "Available", "Busy", "Away", "Break", "Meal", "Meeting", "Training", "On Queue", "Offline",
];
const WAIT_S = 1;
const AGAIN_MS = 1000;
const PATIENCE_MS = 120_000;
const NOTHING = { said: null, key: null };
const ENDS = {
  confirmed: "Confirmed by the gateway.",
  unconfirmed: "Accepted by the gateway, but not confirmed by its event stream.",
  unknown: "It is unknown whether the change was applied.",
  refused: "Refused.",
};

const PENDING = "Pending: the gateway applies the change when the agent's interaction ends …";

export class PresenceForm {
  #form = byId("presence-form");
  #state = byId("presence-state");
  #outcome = byId("presence-outcome");
  #agentId = null;
  #asked = NOTHING;
  #turn = 0; // what an older command still hears is nobody's any more

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** `held`: presences that agents are in now, to choose from. */
  show(agentId, { dialect, mayWrite, held }) {
    this.#turn += 1;
    this.#agentId = agentId;
    this.#form.hidden = !mayWrite;
    byId("presence-closed").hidden = mayWrite;
    this.#form.reset();
    this.#say("", "");
    byId("presence-steps").replaceChildren();
    const names = dialect === "cloud" ? [...new Set([...CLOUD, ...held])] : WSP;
    byId("presence-names").replaceChildren(...names.map((value) => element("option", { value })));
    setAttribute(this.#state, "placeholder", names.slice(0, 4).join(", "));
  }

  close() {
    this.#turn += 1;
  }

  async #submit() {
    const turn = ++this.#turn;
    const body = {
      state: this.#state.value.trim(),
      reason: byId("presence-reason").value.trim(),
      force: byId("presence-force").checked,
    };
    byId("presence-steps").replaceChildren();
    this.#say("asking", `Requesting ${body.state} …`);
    byId("presence-send").disabled = true;
    try {
      await this.#follow(await this.#place(turn, body), turn);
    } catch (error) {
      if (turn === this.#turn) this.#say("refused", words(error));
    } finally {
      byId("presence-send").disabled = false;
    }
  }

  /** Places it, if need be again and again under the same key. */
  async #place(turn, body) {
    const said = JSON.stringify([this.#agentId, body]);
    if (this.#asked.said !== said) this.#asked = { said, key: newKey() };
    const path = `/api/agents/${encodeURIComponent(this.#agentId)}/presence`;
    const headers = { "Idempotency-Key": this.#asked.key };
    try {
      const placed = await this.#patiently(turn, () => ask(path, { method: "POST", body, headers }));
      this.#asked = NOTHING;
      return placed;
    } catch (error) {
      // Whoever presses the button again after a refusal means another command.
      if (!isUnanswered(error)) this.#asked = NOTHING;
      throw error;
    }
  }

  async #follow(placed, turn) {
    let command = placed;
    while (turn === this.#turn) {
      const path = `/api/commands/${encodeURIComponent(placed.id)}?wait=${WAIT_S}`;
      command = await this.#patiently(turn, () => ask(path));
      if (turn !== this.#turn) return;
      this.#showSteps(command.steps);
      if (command.ended_at) {
        const detail = command.detail ? ` ${command.detail}` : "";
        this.#say(command.step, `${ENDS[command.step] ?? command.step}${detail}`);
        return;
      }
      if (command.step === "pending") this.#say("pending", PENDING);
      else this.#say("asking", `${command.step} …`);
    }
  }

  /** No answer, or not now: the server may be just starting again. */
  async #patiently(turn, asking) {
    const untilMs = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await asking();
      } catch (error) {
        if (!isUnanswered(error) || turn !== this.#turn || performance.now() > untilMs) throw error;
        this.#say("asking", "The server does not respond; trying again …");
        await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
      }
    }
  }

  #showSteps(steps) {
    byId("presence-steps").replaceChildren(...steps.map(({ at, step, detail }) => element("li", {},
      element("span", { class: "when" }, clockTime(Date.parse(at))),
      element("strong", {}, step),
      element("span", { class: "detail" }, detail))));
  }

  #say(outcome, text) {
    setText(this.#outcome, text);
    setAttribute(this.#outcome, "data-outcome", outcome);
  }
}

/** By the server itself: the rest is a proxy's, or nobody's. */
function isUnanswered(error) {
  return error instanceof Problem && [0, 502, 504].includes(error.status);
}

function words(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) return "Sign in first: changing a presence requires a token.";
  if (error.status === 403) return "This token is read-only.";
  return error.message;
}
