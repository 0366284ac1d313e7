"""The outbox: attempts with a growing delay, an upper age, dead letters, signatures; a model."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from standardwebhooks import Webhook, WebhookVerificationError

from actors.sender.outbox import (
    BACKOFF_FIRST_S,
    DEAD,
    DELAY_MOST_S,
    DELIVERED,
    DELIVERIES_MAX,
    DETAIL_LENGTH_MAX,
    WAITING,
    Attempt,
    Outbox,
    WebhookMessage,
    WebhookResent,
    message_id,
    signed_headers,
)
from actors.sender.signals import Deliver, Delivered
from actors.settings.sender import WebhookSettings
from tests.actors.sender.drawer import NOW_US, Drawer, accepted, record, story

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEVER_US = 1 << 60
SETTINGS = WebhookSettings(url="https://wfm", give_up_after_s=600, backoff_max_s=60)


def outbox(seed: int = 7, settings: WebhookSettings = SETTINGS) -> Outbox:
    return Outbox(settings, random.Random(seed))


def message(number: int = 1, attempts: int = 0, born_us: int = NOW_US) -> WebhookMessage:
    command = accepted(number).id
    return WebhookMessage(message_id(command), command, b"{}", attempts, born_us, born_us)


def failed(one: WebhookMessage) -> Delivered:
    return Delivered(one.message_id, False, 503, "Service Unavailable")


def test_an_attempt_bears_the_message_and_its_own_time() -> None:
    one = message()
    assert outbox().take([one], NOW_US) == [Deliver(one.message_id, one.body, NOW_US // 1_000_000)]
    assert one.message_id == f"msg_{one.command}"


def test_four_letters_are_on_their_way_at_most_and_none_twice() -> None:
    post = outbox()
    messages = [message(number) for number in range(1, 7)]
    first = post.take(messages, NOW_US)
    assert [each.message_id for each in first] == [one.message_id for one in messages[:4]]
    assert (post.room, post.take(messages, NOW_US)) == (0, [])
    assert post.judge(failed(messages[1]), NOW_US) is not None
    assert post.room == 0  # not before it is durable: the store would lend the letter as it was
    post.settled()
    assert post.on_way == {messages[index].message_id for index in (0, 2, 3)}
    (fifth,) = post.take([messages[0], *messages[4:]], NOW_US)
    assert fifth.message_id == messages[4].message_id


def test_an_answer_counts_once_and_only_if_it_was_awaited() -> None:
    post = outbox()
    assert post.judge(failed(message()), NOW_US) is None
    post.take([message()], NOW_US)
    assert post.judge(failed(message()), NOW_US) is not None
    assert post.judge(failed(message()), NOW_US) is None
    post.settled()
    assert post.judge(failed(message()), NOW_US) is None


def test_the_delay_doubles_up_to_its_bound_and_half_of_it_is_chance() -> None:
    for attempts in (0, 1, 2, 5, 6, 7, 5_000):
        longest_s = min(BACKOFF_FIRST_S * 2 ** min(attempts, 60), SETTINGS.backoff_max_s)
        delays_us = set()
        for seed in range(50):
            post = outbox(seed)
            post.take([message(attempts=attempts)], NOW_US)
            attempt = post.judge(failed(message()), NOW_US)
            assert attempt is not None
            assert attempt.state == WAITING
            delays_us.add(attempt.due_us - NOW_US)
        assert longest_s / 2 * 1e6 <= min(delays_us) < max(delays_us) <= longest_s * 1e6
        assert len(delays_us) > 40


@pytest.mark.parametrize(
    ("age_s", "success", "state"),
    [(0, True, DELIVERED), (599, False, WAITING), (600, False, DEAD), (9_999, True, DELIVERED)],
)
def test_a_letter_dies_of_its_age_and_only_when_an_attempt_failed(
    age_s: int, success: bool, state: str
) -> None:
    post = outbox()
    post.take([message()], NOW_US)
    now_us = NOW_US + age_s * 1_000_000
    told = Delivered(message().message_id, success, 200 if success else 0, "x" * 9_999)
    attempt = post.judge(told, now_us)
    assert attempt is not None
    assert (attempt.state, attempt.at_us, attempt.status) == (state, now_us, told.status)
    assert len(attempt.detail) == DETAIL_LENGTH_MAX


def test_no_delay_that_may_be_chosen_is_taken_for_a_clock_put_back() -> None:
    with pytest.raises(ValueError, match="less than or equal"):
        WebhookSettings(backoff_max_s=DELAY_MOST_S + 1)


# -- signatures ----------------------------------------------------------------------------------


def fresh() -> Deliver:
    body = b'{"event":"presence_change","userId":"\xc3\xa4"}'
    return Deliver("msg_1", body, int(datetime.now(UTC).timestamp()))


def test_a_signature_is_one_that_a_receiver_accepts() -> None:
    delivery = fresh()
    headers = signed_headers(SECRET, delivery)
    assert headers["Idempotency-Key"] == headers["webhook-id"] == "msg_1"
    assert Webhook(SECRET).verify(delivery.body, headers)["event"] == "presence_change"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(delivery.body.replace(b"change", b"chance"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(delivery.body, {**headers, "webhook-id": "msg_2"})


def test_a_signature_is_the_one_of_the_convention() -> None:
    """The example that the Standard Webhooks project publishes."""
    delivery = Deliver("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1_614_265_330)
    headers = signed_headers(SECRET, delivery)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_without_a_secret_nothing_is_signed() -> None:
    assert sorted(signed_headers("", fresh())) == [
        "Content-Type",
        "Idempotency-Key",
        "webhook-id",
        "webhook-timestamp",
    ]


def test_a_secret_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match=r".+"):
        signed_headers("whsec_a", fresh())


# -- the model -----------------------------------------------------------------------------------


class Wfm(RuleBasedStateMachine):
    """A store, an outbox and a webhook that is up, down or silent, through crashes. The plain twin
    is what the webhook has received."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.drawer = Drawer(Path(self.folder.name))
        self.now_us = NOW_US
        self.written: dict[str, bytes] = {}
        self.received: dict[str, bytes] = {}
        self.succeeded: dict[str, int] = {}
        self.failures: dict[str, int] = {}  # since it was born
        self.born_us: dict[str, int] = {}
        self.last_us: dict[str, int] = {}
        self.wire: list[Deliver] = []
        self.pending: list[Attempt] = []

    @initialize(seed=st.integers(0, 99))
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.post = Outbox(SETTINGS, self.rng)

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.drawer.close()
            self.folder.cleanup()

    @rule()
    def acknowledge(self) -> None:
        number = len(self.written) + 1
        *_, acknowledged, _ = story(accepted(number))
        one = record(acknowledged, self.now_us)
        self.drawer.store.commit([one])
        assert one.webhook is not None
        message = message_id(acknowledged.id)
        self.written[message] = one.webhook
        self.born_us[message] = self.now_us
        self.failures[message] = 0

    @rule(seconds=st.sampled_from((0, 1, 5, 60, 598, 599, 600, 1_500)))
    def wait(self, seconds: int) -> None:
        self.now_us += seconds * 1_000_000

    @rule()
    def send(self) -> None:
        due = self.drawer.store.due(self.now_us, self.post.room, self.post.on_way)
        for delivery in self.post.take(due, self.now_us):
            message = delivery.message_id
            assert message not in self.succeeded, "what was delivered is sent again"
            assert delivery.body == self.written[message]
            if self.failures[message]:
                least_s = min(2.0 ** (self.failures[message] - 1), SETTINGS.backoff_max_s) / 2
                assert self.now_us - self.last_us[message] >= round(least_s * 1e6)
            self.wire.append(delivery)

    @precondition(lambda self: self.wire)
    @rule(at=st.integers(0, 99), success=st.booleans(), is_heard=st.booleans())
    def answer(self, at: int, success: bool, is_heard: bool) -> None:
        """The webhook takes a message or refuses it; what it says of that may be lost."""
        delivery = self.wire.pop(at % len(self.wire))
        if success:
            self.received[delivery.message_id] = delivery.body
        heard = success and is_heard
        told = Delivered(delivery.message_id, heard, 204 if heard else 0, "")
        attempt = self.post.judge(told, self.now_us)
        assert attempt is not None
        self.pending.append(attempt)

    @precondition(lambda self: self.pending)
    @rule()
    def commit(self) -> None:
        self.drawer.settle(*self.pending)
        for attempt in self.pending:
            message = attempt.message_id
            self.last_us[message] = attempt.at_us
            age_us = attempt.at_us - self.born_us[message]
            if attempt.state == DELIVERED:
                self.succeeded[message] = attempt.at_us
            else:
                self.failures[message] += 1
                assert (attempt.state == DEAD) == (age_us >= SETTINGS.give_up_after_s * 1e6)
        self.pending = []
        self.post.settled()

    @rule()
    def crash(self) -> None:
        """What was on its way may have arrived; nobody is there to hear of it."""
        for delivery in self.wire:
            self.received[delivery.message_id] = delivery.body
        self.wire, self.pending = [], []
        self.drawer.restart()
        self.post = Outbox(SETTINGS, self.rng)

    @precondition(lambda self: self.written)
    @rule(seconds=st.sampled_from((0, 1, 60, 600)))
    def fail_for_a_while(self, seconds: int) -> None:
        for _ in range(4):
            self.wait(seconds)
            self.send()
            while self.wire:
                self.answer(0, False, True)
            self.send()  # what was judged and is not durable yet is not lent again
            if self.pending:
                self.commit()

    @precondition(lambda self: self.written)
    @rule()
    def send_again(self) -> None:
        """All of them; it does something only to the dead."""
        dead = self.dead()
        for message in self.written:
            if message not in dead:
                due = self.drawer.store.due(self.now_us, 99)
                self.drawer.settle(WebhookResent(message, "uid:0", self.now_us))
                assert self.drawer.store.due(self.now_us, 99) == due
        for message in dead:
            self.drawer.settle(WebhookResent(message, "uid:0", self.now_us))
            self.born_us[message] = self.now_us
            self.failures[message] = 0
            assert self.drawer.store.message_state(message) == WAITING

    @invariant()
    def at_most_four_are_on_their_way(self) -> None:
        assert len(self.wire) <= DELIVERIES_MAX

    @invariant()
    def every_letter_waits_is_dead_or_was_delivered(self) -> None:
        counts = self.drawer.store.outbox_counts()
        assert counts.waiting + counts.dead + len(self.succeeded) == len(self.written)
        assert counts.dead == len(self.dead())

    @invariant()
    def what_counts_as_delivered_was_received_as_it_was_written(self) -> None:
        assert all(self.received[message] == self.written[message] for message in self.succeeded)

    def dead(self) -> list[str]:
        state_of = self.drawer.store.message_state
        return [message for message in self.written if state_of(message) == DEAD]

    def _finish(self) -> None:
        """With a webhook that is up, everything arrives that is not dead, in bounded rounds."""
        if not hasattr(self, "post"):
            return
        for _ in range(2 * len(self.written) + 2):
            while self.wire:
                self.answer(0, True, True)
            if self.pending:
                self.commit()
            waiting = self.drawer.store.due(NEVER_US, 1, self.post.on_way)
            if not waiting:
                break
            self.now_us = max(self.now_us, waiting[0].due_us)
            self.send()
        assert self.drawer.store.outbox_counts().waiting == 0
        assert set(self.succeeded) | set(self.dead()) == set(self.written)


TestWfm = Wfm.TestCase
TestWfm.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
