"""The desk of snapshots against a plain gateway whose pages shift, and whose answers leave parts
out: everybody is answered for by calls that were made after they were wanted, whole or given up
after so many tries, and nobody is asked for without need."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.genesys.channel_plan import Slot
from actors.receiver.snapshot_scheduler import (
    AGAIN_MOST_S,
    PARTS,
    TRIES_MAX,
    Call,
    Part,
    SnapshotScheduler,
)

USERS = tuple(f"u{number:03}" for number in range(260))
PER_PAGE = 130  # more than a call takes by id
SLOTS = (Slot(0, 0), Slot(0, 1), Slot(1, 0))
PLACES = {slot: USERS[at::3] for at, slot in enumerate(SLOTS)}


@dataclass
class Wanted:
    session: int
    since: dict[str, int]  # by user: how many calls had been made


class DeskModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scheduler = SnapshotScheduler()
        self.scheduler.watch(frozenset(USERS))
        self.active = list(USERS)  # in the gateway's order
        self.wanted: dict[Slot, Wanted] = {}
        self.calls: list[tuple[Call, int]] = []  # under way, by which client
        self.made = 0
        self.sessions = 0
        self.now_s = 0.0
        self.left_out: dict[str, frozenset[Part]] = {}  # of answers of all parts
        self.never_told: dict[str, frozenset[Part]] = {}  # not even when asked for by itself
        self.told: dict[str, set[Part]] = {}  # since somebody was wanted
        self.tries: dict[str, int] = {}

    # What is wanted

    @rule(slot=st.sampled_from(SLOTS), count=st.integers(1, len(USERS)))
    def begin(self, slot: Slot, count: int) -> None:
        self.sessions += 1
        self.want(slot, self.sessions, PLACES[slot][:count])

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        """Somebody joins or leaves in mid-snapshot."""
        slot = data.draw(st.sampled_from(sorted(self.wanted)))
        users = data.draw(st.frozensets(st.sampled_from(PLACES[slot]), max_size=5))
        held = self.wanted[slot]
        self.want(slot, held.session, tuple({**held.since, **dict.fromkeys(users)})[2:])

    def want(self, slot: Slot, session: int, users: tuple[str, ...]) -> None:
        held = self.wanted.pop(slot, None)
        before = held.since if held is not None and held.session == session else {}
        since = {user: before.get(user, self.made) for user in users}
        for user in since.keys() - before.keys():
            self.told[user], self.tries[user] = set(), 0
        if since:
            self.wanted[slot] = Wanted(session, since)
        self.scheduler.want(slot, session, users)

    @rule(slot=st.sampled_from(SLOTS))
    def stop(self, slot: Slot) -> None:
        self.wanted.pop(slot, None)
        self.scheduler.stop(slot)

    # What becomes of it

    @rule(client=st.sampled_from([0, 0, 1]))
    def ask(self, client: int) -> None:
        call = self.scheduler.next_call(client, self.now_s)
        if call is not None:
            self.made += 1
            assert call.number == self.made
            assert any(slot.client == client for slot in self.wanted)
            assert call.page is not None or 0 < len(call.ids) <= 100
            of_this_client = {
                user
                for slot, wanted in self.wanted.items()
                if slot.client == client
                for user in wanted.since
            }
            assert of_this_client.issuperset(call.ids), "another client may see other people"
            self.calls.append((call, client))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), fails=st.integers(0, 4).map(lambda rng: rng == 0))
    def answer(self, data: st.DataObject, fails: bool) -> None:
        call, _ = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        if fails:
            self.scheduler.failed(call)
        else:
            self.answer_well(call)

    def answer_well(self, call: Call) -> None:
        if call.page is None:
            found = [user for user in call.ids if user in self.active]
        else:
            found = self.active[(call.page - 1) * PER_PAGE : call.page * PER_PAGE]
        lacking: dict[str, list[Part]] = {}
        if call.part is not None:
            found = [u for u in found if call.part not in self.never_told.get(u, ())]
        else:
            lacking = {
                user: [part for part in PARTS if part in self.left_out[user]]
                for user in found
                if self.left_out.get(user)
            }
        pages = -(-len(self.active) // PER_PAGE)
        for slot, session, users, partly in self.scheduler.answered(
            call, found, pages, lacking=lacking, now_s=self.now_s
        ):
            wanted = self.wanted[slot]
            assert session == wanted.session
            for user in (*users, *partly):
                assert wanted.since[user] < call.number, "it was read after it was wanted"
                assert user in (found if call.page is not None else call.ids)
                self.tries[user] += 1
                if user in found or call.part is None:
                    parts = PARTS if call.part is None else (call.part,)
                    self.told[user].update(p for p in parts if p not in lacking.get(user, ()))
            for user in users:
                is_whole = len(self.told[user]) == len(PARTS)
                is_given_up = self.tries[user] >= TRIES_MAX
                assert is_whole or is_given_up
                assert is_whole == (user not in {each.user for each in self.scheduler.untold})
                del wanted.since[user]
            assert all(len(self.told[user]) < len(PARTS) for user in partly)
            assert all(self.tries[user] < TRIES_MAX for user in partly)
            if not wanted.since:
                del self.wanted[slot]
        self.scheduler.untold.clear()

    @rule(
        users=st.frozensets(st.sampled_from(USERS), max_size=3),
        parts=st.frozensets(st.sampled_from(PARTS), max_size=2),
        is_ever_told=st.booleans(),
    )
    def leave_out(self, users: frozenset[str], parts: frozenset[Part], is_ever_told: bool) -> None:
        self.left_out = dict.fromkeys(users, parts)
        self.never_told = {} if is_ever_told else dict.fromkeys(users, parts)

    @rule(seconds=st.sampled_from([0.1, 1.0, 40.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(users=st.frozensets(st.sampled_from(USERS), max_size=3))
    def leave(self, users: frozenset[str]) -> None:
        """All pages behind them shift."""
        self.active = [user for user in USERS if user not in users]

    @invariant()
    def it_knows_what_is_wanted(self) -> None:
        assert self.scheduler.waiting == len(self.wanted)

    def teardown(self) -> None:
        """No call fails any more: soon everybody is answered for, at the price of a pass and some
        calls by id."""
        for call, _ in self.calls:
            self.answer_well(call)
        self.calls = []
        made = self.made
        while self.wanted:
            if not any(self.ask_well(client) for client in (0, 1)):
                due_s = min(self.scheduler.due_s(client) for client in (0, 1))
                assert self.now_s < due_s <= self.now_s + AGAIN_MOST_S
                self.now_s = due_s
            assert self.made - made < 20 + len(self.left_out) * TRIES_MAX * len(PARTS)
        assert not any(self.scheduler.next_call(client, 1e9) for client in (0, 1))

    def ask_well(self, client: int) -> bool:
        call = self.scheduler.next_call(client, self.now_s)
        if call is not None:
            self.made += 1
            self.answer_well(call)
        return call is not None


DeskModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestDeskModel = DeskModel.TestCase
