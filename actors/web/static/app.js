// App: brings stream, board and views together. Decides nothing that one of them could.

import { AgentDialog } from "./agent_dialog.js";
import { AgentsView } from "./agents_view.js";
import { ask, Problem } from "./api.js";
import { Board } from "./board.js";
import { CountsView } from "./counts_view.js";
import { clockTime, count } from "./durations.js";
import { byId, setText } from "./elements.js";
import { HealthView } from "./health_view.js";
import { judge, SILENCE_MS_MAX } from "./health.js";
import { followKeys } from "./keys.js";
import { LastView } from "./last_view.js";
import { MapView } from "./map_view.js";
import { Painter } from "./painter.js";
import { QueuesView } from "./queues_view.js";
import { SelectionBar } from "./selection_bar.js";
import { SignIn } from "./sign_in.js";
import { Stream } from "./stream.js";
import { switchable } from "./theme.js";
import { TrendView } from "./trend_view.js";

const SUMMARY_EVERY_MS = 15_000;
const QUEUE_NAMES_EVERY_MS = 30_000;
const CROWD_FROM = 12_000; // agents; then the map gets room that the table has

const board = new Board({ select: () => painter.ask(...SELECTED), open: (agent) => dialog.open(agent) });
const { store } = board;
const painter = new Painter();
const health = new HealthView();
const counts = new CountsView(board);
const map = new MapView(board);
const agents = new AgentsView(board);
const queues = new QueuesView(board);
const last = new LastView(board);
const trend = new TrendView(board);
const dialog = new AgentDialog(board);
const bar = new SelectionBar(board);
const stream = new Stream({
  snapshot: onSnapshot, changes: onChanges, health: onHealth, locked: onLocked,
});
const signIn = new SignIn(() => stream.restart());

let heardAtMs = performance.now(); // our clock
let isLocked = false;
let rights = null; // as they are shown
let silence = null;

function onSnapshot(snapshot) {
  store.applySnapshot(snapshot);
  store.takeChanged(); // everything is drawn anew
  heard(snapshot.at);
  showRights();
  document.documentElement.dataset.crowd = store.agents.size > CROWD_FROM ? "large" : "usual";
  painter.ask(...ALL);
}

function onChanges(changes) {
  store.applyChanges(changes);
  heard(changes.at);
  painter.ask(...CHANGED);
}

function onHealth(said) {
  store.applyHealth({ at: said.at, health: said.health ?? said });
  heard(said.at);
}

function onLocked(locked) {
  if (locked && !isLocked) {
    rights = null;
    signIn.show({ who: null, may_write: false });
    signIn.open();
  }
  isLocked = locked;
  showHealth();
}

// -- health --------------------------------------------------------------------------------------

function heard(atMs) {
  heardAtMs = performance.now();
  board.heard(atMs, heardAtMs);
  clearTimeout(silence);
  silence = setTimeout(showHealth, SILENCE_MS_MAX + 1);
  showHealth();
}

function showHealth() {
  const silentMs = performance.now() - heardAtMs;
  const [said, agentsHere] = [store.health, store.agents.size];
  const verdict = judge({ said, agents: agentsHere, isLocked, heardMs: store.atMs, silentMs });
  const wasNow = board.isNow;
  board.isNow = verdict.isNow;
  health.show(verdict, store.summary?.name ?? "Wallboard");
  if (wasNow !== verdict.isNow) painter.ask(...ALL);
}

// -- painting ------------------------------------------------------------------------------------

// The counts come first: their height decides how much room the map has.
const ALL = [
  () => counts.tick(), () => bar.show(), showHead, () => map.arrange(),
  () => agents.showSelected(), () => queues.showAll(), () => last.showAll(), () => trend.showAll(),
];
const CHANGED = [
  () => counts.showAll(), showChanged, () => agents.showChanged(), () => queues.showChanged(),
  () => last.showChanged(),
];
const TICK = [
  () => counts.tick(), showHead, () => map.tick(), () => agents.tick(), () => queues.showAll(),
  () => last.tick(), () => trend.tick(), () => dialog.tick(),
];
const SELECTED = [
  () => agents.showSelected(), () => map.showAll(), () => counts.tick(), () => queues.showAll(),
  () => bar.show(),
];

function showChanged() {
  const changed = store.takeChanged();
  map.showChanged(changed);
  dialog.showChanged(changed);
}

function showHead() {
  setText(byId("name"), store.summary?.name ?? "");
  setText(byId("clock"), store.atMs ? clockTime(board.nowMs()) : "");
  setText(byId("population"), `${count(store.agents.size)} agents`);
  const rate = store.summary?.transitions_per_s ?? 0;
  setText(byId("rate"), `${count(Math.round(rate))}/s`);
}

function showRights() {
  const { who, may_write: mayWrite } = store.summary;
  if (rights === `${mayWrite} ${who}`) return;
  rights = `${mayWrite} ${who}`;
  signIn.show(store.summary);
  dialog.showRights();
}

// -- what the stream does not say ----------------------------------------------------------------

async function readSummary() {
  try {
    store.applySummary(await ask("/api/summary"));
    showRights();
    painter.ask(...TICK);
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // the stream finds out the same, and says so
  }
}

/** Of queues that a snapshot did not know. */
async function readQueueNames() {
  if (![...store.queues.values()].some(({ name }) => name === null)) return;
  try {
    store.nameQueues((await ask("/api/queues")).queues);
    painter.ask(...TICK);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

setInterval(() => painter.ask(...TICK), 1000);
setInterval(readSummary, SUMMARY_EVERY_MS);
setInterval(readQueueNames, QUEUE_NAMES_EVERY_MS);
silence = setTimeout(showHealth, SILENCE_MS_MAX + 1);
switchable(() => painter.ask(...ALL));
followKeys(board, bar);
showHealth();
stream.run();
