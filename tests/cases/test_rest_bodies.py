"""Bodies of the platform API with one odd thing: a page keeps what can be read of it.

Through the calls as the product makes them, against a cloud of a page.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.cloud_answers import (
    ListingPage,
    channel_of,
    name_of,
    page_of,
    subscriptions_of,
)
from actors.genesys.cloud_errors import CloudError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.definitions import Definition, Definitions
from actors.genesys.json_text import parsed
from tests.gateway.listings import member_pages
from tests.gateway.loopback import Request
from tests.gateway.scripted_cloud import PAGES, QUEUES, ScriptedCloud, with_cloud

# -- pages -----------------------------------------------------------------------------------------


async def ids_of(pages: AsyncIterator[ListingPage]) -> list[str]:
    """Or why they cannot be read."""
    try:
        return [each["id"] async for page in pages for each in page.entities]
    except CloudError as error:
        return [f"refused: {error}"]


async def first_page(rest: CloudRest) -> AsyncIterator[ListingPage]:
    yield await rest.user_page(1)


def people(*names: str) -> list[dict[str, Any]]:
    return [{"id": f"u{number}", "name": name} for number, name in enumerate(names)]


def text(entities: str, total: int) -> bytes:
    return f'{{"entities":[{entities}],"pageCount":1,"total":{total}}}'.encode()


BOB = '{"id":"u1","name":"Bob"}'
UPPER = "8B67E4D1-9758-4285-8C45-B49FEDFF3F99"
ONE, TWO = people("Ann"), people("Ann", "Bob")

BODIES = [
    pytest.param({"entities": TWO, "pageCount": 1, "total": 2}, ["u0", "u1"], id="plain"),
    pytest.param(
        text(rf'{{"id":"u0","name":"Ann \ud83d"}},{BOB}', 2),
        ["u0", "u1"],
        id="half an emoji in a name",
    ),
    pytest.param(
        text(rf'{{"id":"u0","name":"Ann","presence":{{"message":"\ude00 lunch"}}}},{BOB}', 2),
        ["u0", "u1"],
        id="half an emoji in a message",
    ),
    pytest.param(text('{"id":"u0","name":"Ann\x0b"}', 1), ["u0"], id="a control character"),
    pytest.param(b"\xef\xbb\xbf" + text("", 0), [], id="a byte order mark"),
    pytest.param({"entities": ONE, "pageCount": 3}, ["u0"], id="no total"),
    pytest.param({"entities": ONE, "pageCount": None, "total": 1}, ["u0"], id="pageCount null"),
    pytest.param({"entities": ONE, "pageCount": 1.0, "total": 1.0}, ["u0"], id="floats"),
    pytest.param({"entities": None, "pageCount": 0, "total": 0}, [], id="entities null"),
    pytest.param({"pageCount": 0, "total": 0}, [], id="no entities"),
    pytest.param(
        {"entities": [None, {"id": "u1"}], "pageCount": 1, "total": 2}, ["u1"], id="a null among"
    ),
    pytest.param(text(f'{{"id":5,"name":"Ann"}},{BOB}', 2), ["u1"], id="a number as id"),
    pytest.param(text(f'{{"id":null,"name":null}},{BOB}', 2), ["u1"], id="no id"),
    pytest.param(
        text(f'{{"id":null,"user":{{"id":"u7","name":"Ann"}}}},{BOB}', 2),
        ["u7", "u1"],
        id="an id in the user of a member",
    ),
    pytest.param(
        text(f'{{"id":"{UPPER}","name":"Ann"}},{BOB}', 2), [UPPER.lower(), "u1"], id="capitals"
    ),
    pytest.param(
        text(f'{{"id":"u0","name":NaN,"version":1e999}},{BOB}', 2), ["u0", "u1"], id="no numbers"
    ),
    pytest.param(
        text('{"id":"u0","x":' + "[" * 2000 + "]" * 2000 + "}," + BOB, 2), ["u0", "u1"], id="deep"
    ),
    pytest.param(
        text('{"id":"u0","name":"A\x00nn\ttab"},' + BOB, 2), ["u0", "u1"], id="a tab and a NUL"
    ),
    pytest.param(text('{"id":"u0","name":"', 2)[:-1] + b'\xff\xfe"}]}', ["u0"], id="no UTF-8"),
    pytest.param({"entities": TWO, "pageCount": "1", "total": "2"}, ["u0", "u1"], id="texts"),
    pytest.param({"entities": TWO, "pageCount": -1}, ["u0", "u1"], id="less than none"),
    pytest.param(
        b'{"entities":[%s],"pageCount":%d}' % (BOB.encode(), 10**30), ["u1"], id="more than all"
    ),
]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
fields = st.sampled_from(("id", "name", "user", "division", "presence", "state", "selfUri"))


@given(st.integers(0, 4), fields, anything, st.sampled_from((b"", b"\xef\xbb\xbf", b"\x00 ")))
def test_one_odd_field_of_one_entity_costs_that_entity_at_most(
    index: int, field: str, value: Any, around: bytes
) -> None:
    entities = people("Ann", "Bob", "Cyd", "Dan", "Eve")
    entities[index][field] = value
    body = around + json.dumps({"entities": entities, "total": 5}).encode() + around
    page = page_of("users", parsed(body), 1, 500)
    others = [f"u{number}" for number in range(5) if number != index]
    assert [each["id"] for each in page.entities if each["id"] in others][:4] == others
    assert len(page.entities) <= 5
    assert all(isinstance(name_of(each), str) for each in page.entities)


@pytest.mark.parametrize(("body", "ids"), BODIES)
def test_a_page_keeps_the_entities_that_can_be_read(body: Any, ids: list[str]) -> None:
    found: list[list[str]] = []

    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", PAGES] = lambda _: body
        found.append(await ids_of(first_page(rest)))

    with_cloud(test)
    assert found == [ids]


def test_pages_without_totals_are_read_until_no_next_one_is_named() -> None:
    path = f"{QUEUES}/q1/members"
    found: list[list[str]] = []

    def answer(asked: Request) -> dict[str, Any]:
        number = int(dict(asked.query).get("pageNumber", "1"))
        member = people("Ann", "Bob", "Cyd")[number - 1]
        page: dict[str, Any] = {"entities": [member], "pageSize": 100, "pageNumber": number}
        if number < 3:
            page["nextUri"] = f"{path}?pageSize=100&pageNumber={number + 1}"
        return page

    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", path] = answer
        found.append(await ids_of(member_pages(rest, "queues", "q1")))
        assert cloud.paths(path) <= 4

    with_cloud(test)
    assert found == [["u0", "u1", "u2"]]


# -- topics and channels ---------------------------------------------------------------------------

TOPIC = "v2.users.a.activity"


def test_a_topic_in_another_case_is_permitted() -> None:
    told = subscriptions_of([TOPIC], {"entities": [{"id": "v2.users.A.activity"}]})
    assert (told.permitted, told.rejected) == (frozenset({TOPIC}), ())


def test_a_topic_that_is_rejected_says_what_is_missing() -> None:
    entity = {
        "id": TOPIC,
        "state": "Rejected",
        "rejectionReason": "x",
        "missingPermissions": ["users:activity:view"],
    }
    told = subscriptions_of([TOPIC], {"entities": [entity]})
    assert told.permitted == frozenset()
    [rejected] = told.rejected
    assert rejected == (TOPIC, "x", ("users:activity:view",))


@pytest.mark.parametrize("entity", [{"connectUri": "wss://x"}, {"expires": "2026"}])
def test_a_channel_of_another_token_has_no_id_and_is_none_to_connect_to(
    entity: dict[str, Any],
) -> None:
    assert channel_of(entity) is None


# -- labels of presences ---------------------------------------------------------------------------


def definition(**other: Any) -> dict[str, Any]:
    return {
        "id": "d1",
        "type": "System",
        "systemPresence": "Available",
        "languageLabels": {"en_US": "Available"},
        "deactivated": False,
    } | other


def labelled(**labels: str) -> dict[str, Any]:
    return definition(languageLabels=labels)


OWN = definition(id="d2", type="User", systemPresence="Busy", languageLabels={"en_US": "Available"})
IN_QUEUE = definition(id="q", systemPresence="On Queue", languageLabels={"de": "In Warteschlange"})

MEANT = [
    pytest.param([definition(languageLabels=None)], "available", "d1", id="no labels"),
    pytest.param([IN_QUEUE], "in warteschlange", "q", id="in German"),
    pytest.param([labelled(fr="Cafe\u0301")], "Caf\u00e9", "d1", id="NFD asked in NFC"),
    pytest.param([labelled(fr="Caf\u00e9")], "Cafe\u0301", "d1", id="NFC asked in NFD"),
    pytest.param([labelled(tr="\u0130zinli")], "izinli", "d1", id="Turkish I"),
    pytest.param([labelled(de="Außer Haus")], "AUSSER HAUS", "d1", id="sharp s"),
    pytest.param([labelled(fr="En\u00a0pause")], "En pause", "d1", id="no-break space"),
    pytest.param([labelled(en="Team  Lead")], "Team Lead", "d1", id="two spaces"),
    pytest.param([definition(deactivated="true")], "available", "d1", id="deactivated as text"),
    pytest.param([definition(), OWN], "Available", "d1", id="the organisation's own like ours"),
    pytest.param([definition(id="AbC-1")], "abc-1", "AbC-1", id="id in capitals"),
]


@pytest.mark.parametrize(("entities", "asked", "id_"), MEANT)
def test_a_presence_is_found_by_its_label(
    entities: list[dict[str, Any]], asked: str, id_: str
) -> None:
    meant = Definitions(orjson.loads(orjson.dumps(entities))).meant(asked)
    assert isinstance(meant, Definition), meant
    assert meant.id == id_
