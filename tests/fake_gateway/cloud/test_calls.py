from __future__ import annotations

from pathlib import Path

import orjson

from tests.gateway.bundled import AGENTS, CloudServed, in_loop, served
from tools.fake_gateway.ledger import read_ledger

USERS = "/api/v2/users?pageSize=25"
EXPANDED = USERS + "&expand=presence,routingStatus,outOfOffice"


@in_loop
async def test_each_client_gets_a_token_of_its_own_and_a_wrong_secret_none(tmp_path: Path) -> None:
    async with served(tmp_path, clients=2) as gateway:
        first, second = await gateway.token(0), await gateway.token(1)
        assert first.told["token_type"] == "bearer"
        assert first.told["expires_in"] == 86400
        assert first.told["access_token"] != second.told["access_token"]
        assert (await gateway.token(1, secret="fake-secret-0")).status == 401


@in_loop
async def test_without_a_token_nothing_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        answer = await gateway.call("GET", USERS, token="wrong")
        assert answer.status == 401
        envelope = {"message", "code", "status", "messageParams", "contextId", "details", "errors"}
        assert answer.told.keys() == envelope
        assert (answer.told["code"], answer.told["status"]) == ("bad.credentials", 401)
        assert "ININ-Correlation-Id" in answer.headers


@in_loop
async def test_users_come_page_by_page_each_of_them_once(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        pages = [await gateway.call("GET", f"{USERS}&pageNumber={n}") for n in (1, 2, 3, 4)]
        assert [len(page.entities) for page in pages] == [25, 25, 10, 0]
        assert {page.told["pageCount"] for page in pages} == {3}
        assert {page.told["total"] for page in pages} == {AGENTS}
        assert ["nextUri" in page.told for page in pages] == [True, True, False, False]
        found = [user["id"] for page in pages for user in page.entities]
        assert found == await gateway.users()


@in_loop
async def test_a_page_is_a_snapshot_only_of_what_was_to_be_expanded(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        (plain, *_), (whole, *_) = [
            (await gateway.call("GET", path)).entities for path in (USERS, EXPANDED)
        ]
        parts = {"presence", "routingStatus", "outOfOffice"}
        assert not parts & plain.keys()
        assert parts <= whole.keys()
        assert whole["presence"]["primary"] is True
        assert whole["routingStatus"]["userId"] == whole["id"]


@in_loop
async def test_users_are_found_by_up_to_a_hundred_ids(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        ids = "&".join(f"id={user}" for user in users[3:6])
        answer = await gateway.call("GET", f"{EXPANDED}&{ids}")
        assert [user["id"] for user in answer.entities] == users[3:6]
        together = await gateway.call("GET", f"{USERS}&id={','.join(users[3:6])}")
        assert [user["id"] for user in together.entities] == users[3:6]
        too_many = "&".join(["id=x"] * 101)
        assert (await gateway.call("GET", f"{USERS}&{too_many}")).status == 400


@in_loop
async def test_a_page_of_more_than_500_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        for query in ("pageSize=501", "pageSize=0", "pageSize=many", "pageNumber=0"):
            assert (await gateway.call("GET", f"/api/v2/users?{query}")).status == 400, query


@in_loop
async def test_who_leaves_is_no_longer_listed_and_who_joins_is(tmp_path: Path) -> None:
    async with served(tmp_path, hidden=10) as gateway:
        users = await gateway.users()
        assert (await gateway.call("GET", USERS)).told["total"] == AGENTS - 10
        await gateway.control("/roster", {"user": users[-1], "state": "active"})
        await gateway.control("/roster", {"user": users[0], "state": "deleted"})
        await gateway.control("/roster", {"user": users[1], "state": "inactive"})
        assert (await gateway.call("GET", USERS)).told["total"] == AGENTS - 11
        assert (await gateway.call("GET", f"/api/v2/users/{users[0]}")).status == 404
        assert (await gateway.call("GET", f"/api/v2/users/{users[1]}")).told["state"] == "inactive"
        await gateway.control("/roster", {"user": users[1], "state": "gone"}, ok=False)


@in_loop
async def test_queues_groups_and_divisions_name_their_members(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = set(await gateway.users())
        for what, path in (("queues", "/api/v2/routing/queues"), ("groups", "/api/v2/groups")):
            listed = (await gateway.call("GET", path)).entities
            members = [
                user["id"]
                for one in listed
                for user in (await gateway.call("GET", f"{path}/{one['id']}/members")).entities
            ]
            assert members, what
            assert set(members) <= users, what
        divisions = (await gateway.call("GET", "/api/v2/authorization/divisions")).entities
        told = (await gateway.call("GET", USERS)).entities
        assert {user["division"]["id"] for user in told} == {one["id"] for one in divisions}


@in_loop
async def test_definitions_have_names_in_two_languages_and_one_is_deactivated(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as gateway:
        path, legacy = "/api/v2/presence/definitions", "/api/v2/presencedefinitions"
        entities = (await gateway.call("GET", path + "?localeCode=ALL")).entities
        system = [one["systemPresence"] for one in entities if one["type"] == "System"]
        assert system == [
            *("Available", "Away", "Busy", "Offline", "Idle", "OnQueue"),
            *("Meal", "Training", "Meeting", "Break"),
        ]
        assert {"Mahlzeit", "Kaffee"} <= {one["languageLabels"]["de"] for one in entities}
        old = (await gateway.call("GET", f"{path}?deactivated=true")).entities
        assert [one["languageLabels"]["en_US"] for one in old] == ["Old Lunch"]
        assert (await gateway.call("GET", f"{path}?deactivated=any")).status == 400
        pages = [
            (await gateway.call("GET", f"{legacy}?deleted=ALL&pageSize=10&pageNumber={n}")).entities
            for n in (1, 2)
        ]
        ids = [one["id"] for page in pages for one in page]
        assert ids == [one["id"] for one in (*entities, *old)]


@in_loop
async def test_labels_come_in_one_language_unless_all_are_asked_for(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        for path in ("/api/v2/presence/definitions", "/api/v2/presencedefinitions"):
            for query, languages in (
                ("", {"en_US"}),
                ("?localeCode=ALL", {"en_US", "de"}),
                ("?localeCode=de", {"de"}),
                ("?localeCode=fi", {"en_US"}),
            ):
                entities = (await gateway.call("GET", path + query)).entities
                assert {frozenset(one["languageLabels"]) for one in entities} == {
                    frozenset(languages)
                }, query


@in_loop
async def test_what_was_patched_is_replied_and_read_again(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        user = (await gateway.users())[0]
        path = f"/api/v2/users/{user}/presences/PURECLOUD"
        meal = await _definition(gateway, "Meal")
        asked = {"presenceDefinition": {"id": meal}, "message": 'sö "gut"'}
        answer = await gateway.call("PATCH", path, asked)
        assert answer.status == 200
        assert answer.told["presenceDefinition"] == {
            "id": meal,
            "systemPresence": "Meal",
            "selfUri": f"/api/v2/presence/definitions/{meal}",
        }
        assert answer.told["message"] == 'sö "gut"'
        assert (await gateway.call("GET", path)).told == answer.told
        status = (await gateway.call("GET", f"/api/v2/users/{user}/routingstatus")).told
        assert status["status"] == "OFF_QUEUE"


@in_loop
async def test_a_presence_of_another_source_stands_beside_the_primary_one(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        path = f"/api/v2/users/{(await gateway.users())[0]}/presences"
        before = (await gateway.call("GET", f"{path}/PURECLOUD")).told
        asked = {"presenceDefinition": {"id": await _definition(gateway, "Busy")}}
        assert (await gateway.call("GET", f"{path}/MICROSOFTTEAMS")).status == 404
        told = (await gateway.call("PATCH", f"{path}/MICROSOFTTEAMS", asked)).told
        assert (told["primary"], told["source"]) == (False, "MICROSOFTTEAMS")
        assert (await gateway.call("GET", f"{path}/MICROSOFTTEAMS")).told == told
        assert (await gateway.call("GET", f"{path}/PURECLOUD")).told == before
        assert (await gateway.call("PATCH", f"{path}/FAX", asked)).status == 404


@in_loop
async def test_a_patch_may_tell_a_message_alone_or_a_primary_source_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        user = (await gateway.users())[0]
        path = f"/api/v2/users/{user}/presences"
        meal = {"presenceDefinition": {"id": await _definition(gateway, "Meal")}}
        first = (await gateway.call("PATCH", f"{path}/PURECLOUD", meal)).told
        told = (await gateway.call("PATCH", f"{path}/PURECLOUD", {"message": "soup"})).told
        assert told["presenceDefinition"] == first["presenceDefinition"]
        assert (told["message"], told["primary"]) == ("soup", True)
        same = (await gateway.call("PATCH", f"{path}/PURECLOUD", {"primary": True})).told
        assert same == told, "it was already"


@in_loop
async def test_what_the_primary_source_says_is_what_counts(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        user, path = users[0], f"/api/v2/users/{users[0]}/presences"
        _, client = await gateway.hear(users[:1], "presence")
        names = ("Meal", "Busy", "Meeting")
        meal, busy, meeting = [
            {"presenceDefinition": {"id": await _definition(gateway, name)}} for name in names
        ]
        teams = busy | {"primary": True}
        told = (await gateway.call("PATCH", f"{path}/MICROSOFTTEAMS", teams)).told
        assert (told["primary"], told["source"]) == (True, "MICROSOFTTEAMS")
        frame = await client.next()
        assert frame["eventBody"]["source"] == "MICROSOFTTEAMS"
        assert frame["eventBody"]["primary"] is True
        beside = (await gateway.call("PATCH", f"{path}/PURECLOUD", meal)).told
        assert (beside["primary"], beside["presenceDefinition"]["id"]) == (
            False,
            meal["presenceDefinition"]["id"],
        )
        shown = (await gateway.call("GET", f"/api/v2/users/{user}?expand=presence")).told
        assert shown["presence"] == told
        back = (await gateway.call("PATCH", f"{path}/PURECLOUD", {"primary": True})).told
        assert back["presenceDefinition"] == beside["presenceDefinition"]
        assert back["primary"] is True
        last = (await gateway.call("PATCH", f"{path}/PURECLOUD", meeting)).told
        shown = (await gateway.call("GET", f"/api/v2/users/{user}?expand=presence")).told
        assert shown["presence"] == last
        assert (await gateway.call("GET", f"{path}/MICROSOFTTEAMS")).told["primary"] is False


@in_loop
async def test_presences_of_up_to_fifty_are_read_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        path = "/api/v2/users/presences/purecloud/bulk?id="
        nobody = "00000000-0000-4000-8000-000000000000"
        answer = await gateway.call("GET", path + ",".join([*users[:49], nobody]))
        assert [one["userId"] for one in answer.told] == users[:49]
        single = (await gateway.call("GET", f"/api/v2/users/{users[0]}/presences/PURECLOUD")).told
        for name in ("presenceDefinition", "message", "modifiedDate"):
            assert answer.told[0][name] == single[name]
        assert (await gateway.call("GET", path + ",".join(users[:51]))).status == 400
        other = path.replace("purecloud", "zoomphone") + users[0]
        assert (await gateway.call("GET", other)).told == []


@in_loop
async def test_members_of_a_queue_come_a_hundred_at_a_time_and_uncounted(tmp_path: Path) -> None:
    async with served(tmp_path, agents=400) as gateway:
        queues = (await gateway.call("GET", "/api/v2/routing/queues")).entities
        largest = max(queues, key=lambda one: int(one["memberCount"]))
        path, found = f"/api/v2/routing/queues/{largest['id']}/members", []
        assert (await gateway.call("GET", path + "?pageSize=101")).status == 400
        uri: str | None = path + "?pageSize=20&expand=routingStatus"
        while uri is not None:
            page = await gateway.call("GET", uri)
            assert not {"total", "pageCount", "lastUri"} & page.told.keys()
            found += [one["id"] for one in page.entities]
            assert all("routingStatus" in one for one in page.entities), "the URI keeps the query"
            uri = page.told.get("nextUri")
        assert len(found) == len(set(found)) == largest["memberCount"]


@in_loop
async def test_wrong_patches_change_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        user, old = (await gateway.users())[0], await _definition(gateway, "Old Lunch")
        meal = await _definition(gateway, "Meal")
        good = {"presenceDefinition": {"id": meal}}
        stranger = "00000000-0000-4000-8000-000000000000"
        for who, asked, status in (
            (stranger, good, 404),
            (user, {}, 400),
            (user, {"primary": False}, 400),
            (user, {"presenceDefinition": {}}, 400),
            (user, {"presenceDefinition": {"id": "nothing"}}, 400),
            (user, {"presenceDefinition": {"id": old}}, 400),
            (user, good | {"message": "x" * 251}, 400),
            (user, [], 400),
        ):
            path = f"/api/v2/users/{who}/presences/PURECLOUD"
            assert (await gateway.call("PATCH", path, asked)).status == status, asked
        assert (await gateway.control("/status"))["patches"] == 0
    assert not [line for line in read_ledger(gateway.ledger) if line["kind"] == "change"]


@in_loop
async def test_many_are_patched_at_once_but_those_who_are_wrong(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users, definition = await gateway.users(), await _definition(gateway, "Team Huddle")
        path = "/api/v2/users/presences/bulk"
        asked = [
            {"id": user, "source": "PURECLOUD", "presenceDefinition": {"id": definition}}
            for user in users
        ]
        assert (await gateway.call("PUT", path, asked)).status == 400  # more than 50
        elsewhere = asked[0] | {"source": "ZOOMPHONE"}
        sourceless = {name: value for name, value in asked[0].items() if name != "source"}
        for wrong in (elsewhere, sourceless, asked[1], "nobody"):
            assert (await gateway.call("PUT", path, [asked[1], wrong])).status == 400
        assert (await gateway.call("PUT", path, [])).status == 400
        assert (await gateway.control("/status"))["patches"] == 0
        answer = await gateway.call("PUT", path, asked[:50])
        assert [one["id"] for one in answer.told] == users[:50]
        assert (await gateway.control("/status"))["patches"] == 50
        some = [
            asked[50],
            asked[51] | {"id": "nobody"},
            asked[52] | {"presenceDefinition": {"id": "nothing"}},
            asked[53] | {"message": "x" * 251},
            asked[54] | {"message": "soup"},
        ]
        answer = await gateway.call("PUT", path, some)
        assert [one["id"] for one in answer.told] == [users[50], users[54]]
        assert answer.told[1]["message"] == "soup"
        assert (await gateway.control("/status"))["patches"] == 52
    ledger = [line for line in read_ledger(gateway.ledger) if line["kind"] == "change"]
    assert len(ledger) == 52, "each of them is an update of its own"


@in_loop
async def test_a_routing_status_is_set_to_idle_or_off_queue_only(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        path = f"/api/v2/users/{(await gateway.users())[0]}/routingstatus"
        await gateway.control("/updates", {"user": path.split("/")[4], "state": "On Queue"})
        for status in ("IDLE", "OFF_QUEUE"):
            assert (await gateway.call("PUT", path, {"status": status})).told["status"] == status
        assert (await gateway.call("PUT", path, {"status": "INTERACTING"})).status == 400
        assert (await gateway.call("GET", path)).told["status"] == "OFF_QUEUE"
        off_queue = await gateway.call("PUT", path, {"status": "IDLE"})
        assert off_queue.status == 400, "who is off queue has no routing status"


@in_loop
async def test_somebody_who_does_not_exist_is_off_queue(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        stranger = "00000000-0000-4000-8000-000000000000"
        answer = await gateway.call("GET", f"/api/v2/users/{stranger}/routingstatus")
        assert (answer.status, answer.told["status"]) == (200, "OFF_QUEUE")


@in_loop
async def test_a_lean_user_has_a_third_of_the_size(tmp_path: Path) -> None:
    sizes = []
    for is_lean in (False, True):
        async with served(tmp_path / str(is_lean), lean_entities=is_lean) as gateway:
            user = (await gateway.call("GET", USERS)).entities[0]
            sizes.append(len(orjson.dumps(user)))
    assert 2 <= sizes[0] / sizes[1] <= 4


@in_loop
async def test_the_301st_call_of_a_minute_is_refused_and_other_clients_are_not(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, clients=2, calls_per_minute=3) as gateway:
        answers = [await gateway.call("GET", "/api/v2/organizations/me") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        counts = [answer.headers["inin-ratelimit-count"] for answer in answers]
        assert counts == ["1", "2", "3", "4"]
        assert {answer.headers["inin-ratelimit-allowed"] for answer in answers} == {"3"}
        refused = answers[-1]
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["Retry-After"] == refused.headers["inin-ratelimit-reset"]
        assert refused.told["code"] == "too.many.requests"
        other = await gateway.call("GET", "/api/v2/organizations/me", client=1)
        assert other.status == 200
        status = await gateway.control("/status")
        assert (status["too_many_requests"], status["fullest_window"]) == (1, [4, 1])


@in_loop
async def test_a_body_of_more_than_512000_bytes_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        channel = await gateway.channel()
        answer = await gateway.subscribe(channel, ["x" * 512_000])
        assert (answer.status, answer.told["code"]) == (413, "request.too.large")


@in_loop
async def test_an_unknown_path_is_told_as_any_other_problem(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        answer = await gateway.call("GET", "/api/v2/nothing")
        assert (answer.status, answer.told["code"]) == (404, "not.found")
        assert answer.headers["inin-ratelimit-count"] == "1"


@in_loop
async def test_every_call_stands_in_the_ledger_and_no_secret(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        await gateway.call("GET", USERS)
        await gateway.call("GET", USERS, token="wrong")
        token = gateway.tokens[0]
    calls = [line for line in read_ledger(gateway.ledger) if line["kind"] == "call"]
    assert [(call["what"], call["client"], call["status"]) for call in calls] == [
        ("POST /oauth/token", None, 200),
        ("GET /api/v2/users", 0, 200),
        ("GET /api/v2/users", None, 401),
    ]
    assert token not in (gateway.ledger / "ledger.jsonl").read_text()


async def _definition(gateway: CloudServed, label: str) -> str:
    ids = {}
    for deactivated in ("false", "true"):
        path = f"/api/v2/presence/definitions?deactivated={deactivated}"
        for one in (await gateway.call("GET", path)).entities:
            ids[one["languageLabels"]["en_US"]] = str(one["id"])
    return ids[label]
