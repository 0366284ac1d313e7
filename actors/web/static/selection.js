// Selection: which agents somebody wants to see, and in which order. Knows no page and no clock.

const AGE_MS_MAX = 2 ** 35; // a year: older is as old
const INDEX_MAX = 2 ** 17; // agents; a sort key and an index fit into one number

export class Selection {
  state = null;
  queue = null;
  text = "";
  isStaleOnly = false;
  sort = "-since";

  get isEverybody() {
    return this.state === null && this.queue === null && this.text === "" && !this.isStaleOnly;
  }

  clear() {
    this.state = null;
    this.queue = null;
    this.text = "";
    this.isStaleOnly = false;
  }

  matches(agent) {
    return (this.state === null || agent.state === this.state)
      && (this.queue === null || agent.queues.includes(this.queue))
      && (!this.isStaleOnly || agent.isStale)
      && (this.text === "" || haystack(agent).includes(this.text));
  }

  set search(text) {
    this.text = text.trim().toLowerCase();
  }
}

function haystack(agent) {
  agent.haystack ??= `${agent.label}\n${agent.id}`.toLowerCase();
  return agent.haystack;
}

/** The agents that match, in order. Numbers are sorted instead of objects: at 50,000 agents that
 * is a few milliseconds instead of fifty. */
export function ordered(agents, selection, keyOf, nowMs) {
  const found = [];
  for (const agent of agents) if (selection.matches(agent)) found.push(agent);
  const isDown = selection.sort.startsWith("-");
  const key = keyOf(selection.sort.replace("-", ""), nowMs);
  const keys = new Float64Array(found.length);
  found.forEach((agent, index) => { keys[index] = key(agent) * INDEX_MAX + index; });
  keys.sort();
  const sorted = Array.from(keys, (each) => found[each % INDEX_MAX]);
  return isDown ? sorted.reverse() : sorted;
}

/** Sort keys are whole numbers under 2^35. */
export class Keys {
  #ranks = new Map();
  #generation = -1;
  #collator = new Intl.Collator(undefined, { numeric: true });

  /** `rank`: the order in which the states stand on the page. */
  of(store, rank) {
    return (sort, nowMs) => {
      if (sort === "since") {
        return (agent) => Math.min(Math.max(0, Math.round(nowMs - agent.since)), AGE_MS_MAX - 1);
      }
      const names = this.#names(store);
      if (sort === "name") return (agent) => names.get(agent.id) ?? 0;
      if (sort === "state") return (agent) => rank(agent.state) * INDEX_MAX + names.get(agent.id);
      const queues = this.#rank([...store.queues.values()]);
      return (agent) => agent.queues.reduce(
        (least, id) => Math.min(least, queues.get(id) ?? queues.size), queues.size);
    };
  }

  #names(store) {
    if (this.#generation !== store.generation) {
      this.#ranks = this.#rank([...store.agents.values()]);
      this.#generation = store.generation;
    }
    return this.#ranks;
  }

  #rank(labelled) {
    labelled.sort((a, b) => this.#collator.compare(a.label, b.label));
    return new Map(labelled.map(({ id }, index) => [id, index]));
  }
}
