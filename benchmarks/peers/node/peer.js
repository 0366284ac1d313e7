// Node's part: `ws` and JSON.parse, as benchmarks/peers/part.py says. The same work as the others.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const HASHES_MAX = 65_536; // of a generation, or so old: as in ours (actors/shard/dedup.py)
const HASH_AGE_MS = 300_000;
const LOOK_MS = 5;
const given = JSON.parse(process.argv[2]);

const held = new Map(); // user id to [state, timestamp, queue, sequence]
let events = 0;
let transitions = 0;
let newest = 0;
let younger = new Set();
let older = new Set();
let until = null;
let cpu = null;

// 53 bits, FNV-1a twice. As keys, numbers cost half of what the texts would.
function hashed(text) {
  let one = 0x811c9dc5;
  let other = 0x9e3779b9;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ unit, 0x85ebca6b);
  }
  return (one >>> 0) * 2097152 + (other >>> 11);
}

function take(event) {
  const { data, sequence } = event;
  events += 1;
  if (sequence > newest) newest = sequence;
  const { userId, state, timestamp, queueId } = data;
  const digest = hashed(timestamp + userId + state + queueId);
  if (younger.has(digest) || older.has(digest)) return;
  younger.add(digest);
  const was = held.get(userId);
  if (was !== undefined) {
    if (sequence <= was[3] || (was[0] === state && was[1] === timestamp && was[2] === queueId)) return;
    was[0] = state;
    was[1] = timestamp;
    was[2] = queueId;
    was[3] = sequence;
  } else {
    held.set(userId, [state, timestamp, queueId, sequence]);
  }
  transitions += 1;
}

const say = (words) => process.stdout.write(JSON.stringify(words) + "\n");

async function token() {
  const pair = Buffer.from(`${given.client_id}:${given.client_secret}`).toString("base64");
  const answer = await fetch(`${given.base_url}/api/v2/oauth/token`, {
    method: "POST",
    headers: { authorization: `Basic ${pair}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
  });
  if (!answer.ok) throw new Error(`token: ${answer.status}`);
  return (await answer.json()).access_token;
}

const root = given.base_url.replace("http", "ws");
const socket = new WebSocket(`${root}/wsp/v2/notifications?access_token=${await token()}`, {
  perMessageDeflate: false,
  skipUTF8Validation: true,
  maxPayload: 0,
});
const subscription = {
  events: [{ type: "routing.agents.state", properties: ["userId", "state", "timestamp", "queueId"] }],
  filter: { includeHistory: true, resource: null },
};
socket.on("open", () => socket.send(JSON.stringify(subscription)));
socket.on("message", (frame) => {
  const event = JSON.parse(frame);
  if (event.type === "routing.agents.state") take(event);
  else if (event.type === "history.complete") {
    cpu = process.cpuUsage();
    say({ ready: true });
  }
});

let born = performance.now();
setInterval(() => {
  if (younger.size < HASHES_MAX && performance.now() - born < HASH_AGE_MS) return;
  older = younger;
  younger = new Set();
  born = performance.now();
}, LOOK_MS);

createInterface({ input: process.stdin }).once("line", (line) => {
  until = Number(line);
  const looking = setInterval(() => {
    if (newest < until) return;
    clearInterval(looking);
    say({ finished: true });
    const used = process.cpuUsage(cpu);
    const states = Object.fromEntries([...held].map(([user, was]) => [user, was.slice(0, 2)]));
    const report = { events, transitions, states, cpu_s: { peer: (used.user + used.system) / 1e6 } };
    process.stdout.write(JSON.stringify(report) + "\n", () => process.exit(0));
  }, LOOK_MS);
});
