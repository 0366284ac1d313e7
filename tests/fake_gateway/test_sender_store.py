"""The oracle reads what the product's own store writes, and finds its audit as it was chained.

The gateway knows the file by its tables alone; here both meet, so that neither changes unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from actors.sender.commands import CommandStep
from actors.sender.outbox import DEAD, Attempt, WebhookResent, message_id
from actors.settings.sender import SenderSettings
from tests.actors.sender.drawer import NOW_US, USER, Drawer, accepted
from tools.fake_gateway.command_verifier import ENDS, FIRST_STEP
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.sender_store import RESENT, Command, OutboxMessage, SenderStore, open_store


@pytest.fixture
def drawer(tmp_path: Path) -> Iterator[Drawer]:
    with closing(Drawer(tmp_path)) as drawer:
        yield drawer


def opened(drawer: Drawer) -> SenderStore:
    store = open_store(drawer.data_dir)
    assert store is not None
    return store


def test_commands_letters_and_audit_are_read_while_the_store_is_open(drawer: Drawer) -> None:
    drawer.tell([1])
    drawer.put(accepted(2))
    store = opened(drawer)
    done, waiting = store.commands
    assert done == Command(
        id=accepted(1).id,
        user=USER,
        state="busy",
        step="confirmed",
        tries=1,
        accepted_us=NOW_US + 1,
        first_sent_us=NOW_US + 1,
        acknowledged_us=NOW_US + 40_001,
        ended_us=NOW_US + 90_001,
    )
    assert (waiting.step, waiting.first_sent_us, waiting.ended_us) == (FIRST_STEP, None, None)
    assert store.outbox == [OutboxMessage(message_id(done.id), done.id, "waiting")]
    steps = [row.step for row in store.audit if row.command == done.id]
    assert steps == ["accepted", "sent", "acknowledged", "confirmed"]
    assert {row.user for row in store.audit} == {USER}
    assert list(store.broken()) == []


def test_what_is_hashed_is_any_text(drawer: Drawer) -> None:
    drawer.put(accepted(1, reason='"|é\x00\n\u2028 \N{PILE OF POO}', user_id="ü|\N{PILE OF POO}"))
    store = opened(drawer)
    assert (len(store.audit), list(store.broken())) == (1, [])


def test_a_letter_that_a_person_sent_again_leaves_the_chain_whole(drawer: Drawer) -> None:
    drawer.tell([1])
    letter = message_id(accepted(1).id)
    drawer.settle(Attempt(letter, DEAD, 0, NOW_US, 500, "no"))
    drawer.settle(WebhookResent(letter, "uid:0", NOW_US))
    store = opened(drawer)
    assert store.audit[-1].step == RESENT
    assert list(store.broken()) == []


def test_a_row_that_the_product_did_not_write_is_found(drawer: Drawer) -> None:
    drawer.tell([1])
    store = opened(drawer)
    store.audit[1] = store.audit[1]._replace(at_us=1)
    assert [row for row, _ in store.broken()] == [2]


def test_both_sides_mean_the_same_by_an_end(drawer: Drawer) -> None:
    assert set(ENDS) == {step for step in CommandStep if step.is_end}
    assert CommandStep.ACCEPTED == FIRST_STEP
    ended = replace(accepted(1), step=CommandStep.UNKNOWN, ended_us=NOW_US)
    drawer.put(accepted(1), ended)
    assert opened(drawer).commands[0].step in ENDS


def test_the_sender_gives_up_no_earlier_than_the_gateway_lets_it() -> None:
    assert SenderSettings().give_up_after_s >= GIVE_UP_AFTER_S
