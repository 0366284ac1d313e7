// Theme: light or dark, as the system says until somebody says otherwise. Knows no view.

import { byId, setAttribute } from "./elements.js";

const KEY = "wallboard-theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** `onChange`: colours are others now. */
export function switchable(onChange) {
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (DARK.matches ? "dark" : "light")) === "dark";
  const show = () => {
    setAttribute(byId("theme"), "aria-pressed", isDark());
    onChange();
  };
  const kept = localStorage.getItem(KEY);
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem(KEY, root.dataset.theme);
    show();
  });
  DARK.addEventListener("change", show);
  setAttribute(byId("theme"), "aria-pressed", isDark());
}
