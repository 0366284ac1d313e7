"""Script: what each agent of the fake organisation does, as a pure function of seed and number.
Pure.

Knows no socket, no clock, no sequence numbering. `frames.pyx` is its fast twin, byte for byte.
Its own events are called steps here: between two of them others may happen (see `event_log.py`).

Step n belongs to round n // active and place n % active in it. In each round every active agent
changes exactly once, so that the k-th change of an agent happens in round k - 1, its state is a
table look-up, and any step, or everybody's state after any number of steps, is computed without
the steps before it. A replay is therefore written anew instead of kept.

The order of the agents differs from round to round, but an agent stays in its half of the round:
two of its events are at least `distance_min` numbers apart, which is what lets the timeline promise
strictly increasing times per agent (see `event_times.py`).
"""

from __future__ import annotations

import random
import uuid
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tools.fake_gateway.wire import server_frame

STATES = ("Available", "Not Available", "Talking", "Wrapped Up", "Reserved")
PRESENCES = ("available", "busy", "break", "offline")
STATE_EVENT = "routing.agents.state"

# What an event carries beside userId, state and timestamp: a shape is a sum of these.
WITH_QUEUE = 1
WITH_PRESENCE = 2
WITH_CORRELATION = 4
WHOLE_AGENT = 8  # everything, and the rest of the agent object: over 2 KB an event
LEAN = WITH_QUEUE

AGENTS_MAX = 1_000_000
AGENTS_PER_QUEUE = 25
CYCLE = 64  # states an agent walks through before it begins again
STRIDES = (1000003, 1000033, 1000037, 1000039, 1000081, 1000099, 1000117, 1000121)
# Primes above AGENTS_MAX, coprime to every size of a half round: j * stride + shift visits it all.

_MASK = (1 << 64) - 1
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AVAILABLE, _NOT_AVAILABLE, _TALKING, _WRAPPED_UP, _RESERVED = range(5)
_NEXT = {
    _AVAILABLE: (_RESERVED, _RESERVED, _RESERVED, _NOT_AVAILABLE),
    _RESERVED: (_TALKING, _TALKING, _TALKING, _AVAILABLE),
    _TALKING: (_WRAPPED_UP, _WRAPPED_UP, _AVAILABLE),
    _WRAPPED_UP: (_AVAILABLE, _AVAILABLE, _NOT_AVAILABLE),
    _NOT_AVAILABLE: (_AVAILABLE,),
}
_PRESENCE_OF = (0, 2, 1, 1, 1)  # per state; a Not Available agent is on a break, or offline
# What an update makes of an agent, per presence. The five states have no other word for who is busy
# with something that the contact center did not give them, or gone: the event's presence says it.
STATE_OF_PRESENCE = (_AVAILABLE, _NOT_AVAILABLE, _NOT_AVAILABLE, _NOT_AVAILABLE)
_INITIAL_AGE_S_MAX = 8 * 3600


def mix64(value: int) -> int:
    """The finaliser of splitmix64: a good hash of one 64-bit number, three lines in C as well."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSettings:
    """Everything that the script depends on. `origin_ms` (UTC) lies before every event's time."""

    seed: int
    agents: int
    origin_ms: int
    quiet_every: int = 50  # every so-manieth agent never changes; 0 = none is quiet
    presence_every: int = 0  # every so-manieth event carries a presence, if it was asked for
    correlation_every: int = 0  # … and a correlation id: an update of somebody else caused it

    def __post_init__(self) -> None:
        if not 1 <= self.agents <= AGENTS_MAX:
            raise ValueError(f"agents must be 1 to {AGENTS_MAX}, not {self.agents}")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed must be 0 to 2^64 - 1, not {self.seed}")
        if self.origin_ms < 1000 * (_INITIAL_AGE_S_MAX + 1):
            raise ValueError(f"origin_ms must leave room for initial states, not {self.origin_ms}")
        if self.quiet_every == 1:
            raise ValueError("quiet_every = 1 leaves nobody who changes")
        if min(self.quiet_every, self.presence_every, self.correlation_every) < 0:
            raise ValueError("quiet_every, presence_every, correlation_every must not be negative")


class Change(NamedTuple):
    """One change of one agent, without sequence and time. `number` is its step, or its event in a
    log; -1 for an initial state."""

    number: int
    agent: int
    state: int
    queue: int
    presence: int
    has_presence: bool
    correlation: str | None


class Script:
    """The organisation: who is in it, and what happens."""

    def __init__(self, settings: ScriptSettings) -> None:
        self.settings = settings
        rng = random.Random(f"organisation {settings.seed}")
        agents = settings.agents
        self.users = tuple(_uuid4(rng) for _ in range(agents))
        self.queues = tuple(_uuid4(rng) for _ in range(-(-agents // AGENTS_PER_QUEUE)))
        self.homes = array("i", (rng.randrange(len(self.queues)) for _ in range(agents)))
        self.offsets = bytes(rng.randrange(CYCLE) for _ in range(agents))
        self.cycle = _walk(rng)
        active = [agent for agent in range(agents) if not self.is_quiet(agent)]
        rng.shuffle(active)
        self.order = array("i", active)
        self._place_of = array("i", [-1]) * agents  # of those who change, in `order`
        for place, agent in enumerate(active):
            self._place_of[agent] = place
        self.active = len(active)
        self.low = (self.active + 1) // 2  # size of the first half of a round
        self.distance_min = self.active - self.low + 1

    def is_quiet(self, agent: int) -> bool:
        every = self.settings.quiet_every
        return every > 0 and agent % every == every - 1

    def agent_of(self, number: int) -> int:
        """Who changes in step `number`."""
        round_, place = divmod(number, self.active)
        begin, size = self._half(place)
        stride, shift = self._shuffle(round_, size)
        return self.order[begin + ((place - begin) * stride + shift) % size]

    def step_in(self, agent: int, round_: int) -> int:
        """The step of that round in which the agent changes; one that is not quiet."""
        begin, size = self._half(self._place_of[agent])
        stride, shift = self._shuffle(round_, size)
        distance = self._place_of[agent] - begin - shift
        return round_ * self.active + begin + distance * pow(stride, -1, size) % size

    def last_step(self, agent: int, steps: int) -> int:
        """The agent's last step below `steps`, or -1."""
        if self.is_quiet(agent):
            return -1
        round_ = steps // self.active
        step = self.step_in(agent, round_)
        return step if step < steps else self.step_in(agent, round_ - 1) if round_ else -1

    def next_step(self, agent: int, steps: int) -> int | None:
        """The agent's first step from `steps` on."""
        if self.is_quiet(agent):
            return None
        round_ = steps // self.active
        step = self.step_in(agent, round_)
        return step if step >= steps else self.step_in(agent, round_ + 1)

    def _half(self, place: int) -> tuple[int, int]:
        """Of a round: where the half begins that holds the place, and its size."""
        return (0, self.low) if place < self.low else (self.low, self.active - self.low)

    def _shuffle(self, round_: int, size: int) -> tuple[int, int]:
        """(stride, shift) of a half of that size, in that round."""
        mixed = mix64(self.settings.seed + round_)
        return STRIDES[mixed & 7] % size, (mixed >> 8) % size

    def change(self, number: int) -> Change:
        """Step `number` (>= 0)."""
        agent, round_ = self.agent_of(number), number // self.active
        state = self.cycle[(self.offsets[agent] + round_ + 1) % CYCLE]
        settings = self.settings
        return Change(
            number,
            agent,
            state,
            (self.homes[agent] + (((round_ + agent) >> 3) & 1)) % len(self.queues),
            _presence(state, agent + round_),
            settings.presence_every > 0 and number % settings.presence_every == 0,
            self._correlation(number)
            if settings.correlation_every > 0 and number % settings.correlation_every == 0
            else None,
        )

    def initial(self, agent: int) -> Change:
        """What the agent was before step 0."""
        state = self.cycle[self.offsets[agent]]
        has_presence = self.settings.presence_every > 0
        presence = _presence(state, agent + 2)
        return Change(-1, agent, state, self.homes[agent], presence, has_presence, None)

    def initial_ms(self, agent: int) -> int:
        """Since when: some hours, and at least a second, before the origin."""
        age_s = 1 + mix64(self.settings.seed ^ agent) % _INITIAL_AGE_S_MAX
        return self.settings.origin_ms - age_s * 1000

    def frame(
        self, change: Change, sequence: int, at_ms: int, shape: int = LEAN, history: bool = False
    ) -> bytes:
        """The whole WebSocket frame, as the server puts it on a socket."""
        text = (
            f'{{"type":"{STATE_EVENT}","sequence":{sequence},'
            + ('"history":true,' if history else "")
            + f'"data":{{"userId":"{self.users[change.agent]}"'
            f',"state":"{STATES[change.state]}"'
            f',"timestamp":"{timestamp(at_ms)}"'
        )
        whole = shape & WHOLE_AGENT
        if shape & WITH_QUEUE or whole:
            text += f',"queueId":"{self.queues[change.queue]}"'
        if (shape & WITH_PRESENCE and change.has_presence) or whole:
            text += f',"presence":"{PRESENCES[change.presence]}"'
        if (shape & WITH_CORRELATION or whole) and change.correlation is not None:
            text += f',"correlationId":"{change.correlation}"'
        if whole:
            text += f',"name":"Agent {change.agent:07d}",{REST_OF_AGENT}'
        return server_frame(f"{text}}}}}".encode())

    def _correlation(self, number: int) -> str:
        high = mix64(self.settings.seed ^ (2 * number + 1))
        low = mix64(high)
        return str(uuid.UUID(int=high << 64 | low, version=4))


def timestamp(at_ms: int) -> str:
    moment = _UNIX_EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _presence(state: int, turn: int) -> int:
    return 3 if state == _NOT_AVAILABLE and turn % 3 == 0 else _PRESENCE_OF[state]


def _uuid4(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _walk(rng: random.Random) -> bytes:
    """A closed walk through the states: no two neighbours equal, the last leads to the first."""
    while True:
        walk = [_AVAILABLE]
        while len(walk) < CYCLE:
            walk.append(rng.choice(_NEXT[walk[-1]]))
        if walk[0] in _NEXT[walk[-1]]:
            return bytes(walk)


_SKILLS = ",".join(
    f'{{"skillId":"00000000-0000-4000-8000-{number:012d}","proficiency":{number % 5 + 1}.0,'
    f'"name":"Skill {number:02d}","enabled":true}}'
    for number in range(16)
)
REST_OF_AGENT = (
    '"division":{"id":"00000000-0000-4000-8000-0000000000d1","name":"Home"},'
    '"department":"Customer Care","title":"Agent","acdAutoAnswer":false,"version":7,'
    '"preferredName":"","chat":{"jabberId":"agent@example.invalid"},'
    '"locations":[{"floorplanId":null,"name":"Site 1"}],"certifications":[],"groups":[],'
    f'"languages":[{{"name":"English","proficiency":5.0}}],"skills":[{_SKILLS}]'
)
