// Store: what is known of agents, queues and health. Knows no page, no network and no clock.
//
// A snapshot replaces everything, changes go on from it. An agent is one object for as long as the
// page lives, and keeps its place, so that nobody who looks at it has to look for it again.

export const LAST_MAX = 200;

export class Store {
  agents = new Map(); // id → agent
  places = []; // place → agent, null where somebody has gone
  byState = {};
  queues = new Map(); // id → {id, name, label, byState, agents}
  last = []; // transitions, the newest first
  health = null;
  summary = null;
  queuesUnknown = 0; // agents whose queues nobody knows yet: counts of queues are too low
  atMs = 0; // the server's, of the newest that was applied
  generation = 0; // grows whenever somebody comes, goes or is renamed
  #changed = new Set();

  applySnapshot(snapshot) {
    const isFirst = this.places.length === 0;
    const here = new Set();
    this.queues = new Map();
    for (const [id, name] of snapshot.queues) this.#queue(id, name);
    const queues = [...this.queues.keys()];
    for (const [id, name, state, since, , presence, stale, places] of snapshot.agents) {
      here.add(id);
      const within = places.map((place) => queues[place]);
      this.#set(id, name, snapshot.states[state], since, null, presence, stale, within);
    }
    for (const agent of [...this.agents.values()]) if (!here.has(agent.id)) this.#remove(agent);
    if (isFirst) this.#arrange();
    this.#countQueues();
    if (snapshot.last) this.last = snapshot.last.map(transition).reverse();
    this.atMs = snapshot.at;
    this.summary = snapshot.summary;
    this.byState = snapshot.summary.by_state;
    this.health = snapshot.summary.health;
    this.queuesUnknown = snapshot.summary.queues_unknown ?? 0;
    this.generation += 1;
  }

  /** What the stream does not say. Counts and health are the stream's: this may be older. */
  applySummary(summary) {
    this.summary = summary;
    this.queuesUnknown = summary.queues_unknown ?? this.queuesUnknown;
  }

  /** `stale`: all are (1) or none is (0) from now on. */
  applyChanges({
    at, changes = [], last = [], by_state: byState, queues = {}, queues_unknown: unknown, health,
    stale,
  }) {
    const known = this.agents.size;
    if (stale !== undefined && stale !== null) this.#markAll(Boolean(stale));
    for (const row of changes) this.#set(...row);
    if (this.agents.size !== known) this.generation += 1;
    for (const [id, counts] of Object.entries(queues)) this.#setCounts(this.#queue(id), counts);
    for (const row of last) this.last.unshift(transition(row));
    this.last.length = Math.min(this.last.length, LAST_MAX);
    if (byState) this.byState = byState;
    this.queuesUnknown = unknown ?? this.queuesUnknown;
    this.applyHealth({ at, health });
  }

  applyHealth({ at, health }) {
    this.atMs = at;
    if (health) this.health = health;
  }

  nameQueues(rows) {
    for (const { id, name } of rows) if (this.queues.has(id)) rename(this.queues.get(id), name);
    this.generation += 1;
  }

  /** Who has changed since the last call. */
  takeChanged() {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Counts by state: of one queue, or of everybody. */
  counts(queueId) {
    return queueId === null ? this.byState : this.queues.get(queueId)?.byState ?? {};
  }

  queueLabel(id) {
    return this.queues.get(id)?.label ?? id;
  }

  /** Of all queues of an agent, in one order. */
  queueLabels(agent) {
    return agent.queues.map((id) => this.queueLabel(id)).sort(compare).join(", ");
  }

  /** `queues`: the agent counts in each of them; null: they are as they were. */
  #set(id, name, state, since, _former, presence, stale, queues) {
    let agent = this.agents.get(id);
    if (!agent) {
      agent = { id, place: this.places.length, name: undefined, queues: [] };
      this.places.push(agent);
      this.agents.set(id, agent);
    }
    if (agent.name !== name) this.#rename(agent, name);
    if (queues) {
      for (const queue of queues) this.#queue(queue);
      agent.queues = queues;
    }
    agent.state = state;
    agent.since = since;
    agent.presence = presence;
    agent.isStale = Boolean(stale);
    this.#changed.add(agent);
  }

  #markAll(isStale) {
    for (const agent of this.agents.values()) {
      if (agent.isStale !== isStale) this.#changed.add(agent);
      agent.isStale = isStale;
    }
  }

  #rename(agent, name) {
    agent.name = name;
    agent.label = name ?? agent.id;
    agent.haystack = null; // made when somebody searches
    this.generation += 1;
  }

  #remove(agent) {
    this.agents.delete(agent.id);
    this.places[agent.place] = null;
    this.#changed.delete(agent);
    agent.isStale = true; // for whoever still looks at it
  }

  #queue(id, name = null) {
    let queue = this.queues.get(id);
    if (!queue) {
      queue = { id, name: null, label: id, byState: {}, agents: 0 };
      rename(queue, name);
      this.queues.set(id, queue);
    }
    return queue;
  }

  #setCounts(queue, counts) {
    queue.byState = counts;
    queue.agents = Object.values(counts).reduce((sum, each) => sum + each, 0);
  }

  /** A snapshot does not repeat what its agents say. */
  #countQueues() {
    for (const agent of this.agents.values()) {
      for (const id of agent.queues) {
        const queue = this.queues.get(id);
        queue.byState[agent.state] = (queue.byState[agent.state] ?? 0) + 1;
        queue.agents += 1;
      }
    }
  }

  /** The first places go by queues, so that agents of the same ones are neighbours. Whoever is in
   * none stands last. */
  #arrange() {
    const teams = new Map();
    for (const agent of this.places) {
      const team = this.queueLabels(agent);
      if (!teams.has(team)) teams.set(team, []);
      teams.get(team).push(agent);
    }
    const ordered = [...teams].sort(([a], [b]) => (a === "") - (b === "") || compare(a, b));
    this.places = ordered.flatMap(([, agents]) =>
      agents.sort((a, b) => compare(a.label, b.label) || compare(a.id, b.id)));
    this.places.forEach((agent, place) => { agent.place = place; });
  }
}

function rename(queue, name) {
  queue.name = name;
  queue.label = name ?? queue.id;
}

function transition([id, from, to, atMs, , cause]) {
  return { id, from, to, atMs, cause };
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
