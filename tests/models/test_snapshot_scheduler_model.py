"""The desk of snapshots against a plain gateway whose pages shift: everybody is answered for by a
call that was made after they were wanted, and nobody is asked for without need."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.genesys.channel_plan import Slot
from actors.receiver.snapshot_scheduler import Call, SnapshotScheduler

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
        call = self.scheduler.next_call(client)
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
        for slot, session, users in self.scheduler.answered(
            call, found, -(-len(self.active) // PER_PAGE)
        ):
            wanted = self.wanted[slot]
            assert session == wanted.session
            for user in users:
                assert wanted.since.pop(user) < call.number, "it was read after it was wanted"
                assert user in (found if call.page is not None else call.ids)
            if not wanted.since:
                del self.wanted[slot]

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
        while any(self.ask_well(client) for client in (0, 1)):
            assert self.made - made < 20
        assert not self.wanted

    def ask_well(self, client: int) -> bool:
        call = self.scheduler.next_call(client)
        if call is not None:
            self.made += 1
            self.answer_well(call)
        return call is not None


DeskModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestDeskModel = DeskModel.TestCase
