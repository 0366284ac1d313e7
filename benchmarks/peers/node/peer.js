// Node's part: `ws` and JSON.parse, as benchmarks/peers/part.py says. The same work as the others.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import WebSocket from "ws";

const GENERATION_MS = 150_000;
const LOOK_MS = 5;
const given = JSON.parse(process.argv[2]);
const ca = given.ca_file ? readFileSync(given.ca_file) : undefined;
if (ca) process.env.NODE_EXTRA_CA_CERTS = given.ca_file;

const held = new Map(); // user id to [state, timestamp, queue, sequence]
let events = 0;
let transitions = 0;
let newest = 0;
let younger = new Set();
let older = new Set();
let until = null;
let cpu = null;

function take(event) {
  const { data, sequence } = event;
  events += 1;
  if (sequence > newest) newest = sequence;
  const { userId, state, timestamp, queueId } = data;
  // V8 hashes a string when it is used as a key: there is no faster payload hash here.
  const digest = timestamp + userId + state + queueId;
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
  ca,
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

setInterval(() => {
  older = younger;
  younger = new Set();
}, GENERATION_MS);

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
