// SignIn: exchanges a token for a cookie that no script can read. Keeps no token.

import { ask, Problem } from "./api.js";
import { byId, setText } from "./elements.js";

export class SignIn {
  #dialog = byId("sign-in");
  #token = byId("sign-in-token");
  #who = null;

  /** `onChange`: who is asking has changed. */
  constructor(onChange) {
    byId("who").addEventListener("click", () => {
      if (this.#who === null) this.open();
      else this.#signOut(onChange);
    });
    byId("presence-sign-in").addEventListener("click", () => this.open());
    byId("sign-in-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => { this.#token.value = ""; });
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#signIn(onChange);
    });
  }

  open() {
    setText(byId("sign-in-problem"), "");
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  show({ who, may_write: mayWrite }) {
    this.#who = who;
    setText(byId("who"), who === null ? "Sign in" : "Sign out");
    setText(byId("who-name"), who === null ? "" : who.replace(/^token:/, ""));
    setText(byId("who-may"), mayWrite ? "" : "read only");
  }

  async #signIn(onChange) {
    try {
      await ask("/api/session", { method: "POST", body: { token: this.#token.value.trim() } });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const isWrong = [401, 403, 422].includes(error.status);
      setText(byId("sign-in-problem"), isWrong ? "Invalid token." : error.message);
      this.#token.select();
      return;
    }
    this.#dialog.close();
    onChange();
  }

  async #signOut(onChange) {
    try {
      await ask("/api/session", { method: "DELETE" });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    onChange();
  }
}
