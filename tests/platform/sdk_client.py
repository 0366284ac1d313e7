"""SdkClient: the platform's own SDK as a client of the gateway, in a process of its own.

    python -m tests.platform.sdk_client BASE_URL CLIENT_ID CLIENT_SECRET

Does its rounds as a program of somebody else would, and prints as JSON what it saw. The SDK makes
the calls, reads the answers and raises the errors; nothing here knows a path or a field's spelling.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import PureCloudPlatformClientV2 as Sdk  # type: ignore[import-untyped]
from PureCloudPlatformClientV2.rest import ApiException  # type: ignore[import-untyped]

PARTS = ["presence", "routingStatus", "outOfOffice"]


def signed_in(base_url: str, client_id: str, client_secret: str) -> Any:
    Sdk.configuration.host = base_url
    return Sdk.api_client.ApiClient(base_url).get_client_credentials_token(client_id, client_secret)


def all_of(page_of: Callable[[int], Any]) -> Iterator[Any]:
    """Entities of all pages, as long as a page names the next one."""
    number = 1
    while True:
        page = page_of(number)
        yield from page.entities
        if page.next_uri is None:
            return
        number += 1


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    """What the SDK says of a refusal."""
    try:
        call()
    except ApiException as error:
        body = json.loads(error.body) if error.body else {}
        return {"status": error.status, "body": sorted(body), "code": body.get("code")}
    return {"status": 0}


def users(client: Any) -> dict[str, Any]:
    api = Sdk.UsersApi(client)
    found = list(
        all_of(lambda n: api.get_users(page_size=25, page_number=n, state="active", expand=PARTS))
    )
    some = api.get_users(id=[found[0].id, found[1].id], page_size=100)
    one = api.get_user(found[0].id, expand=["presence"])
    return {
        "users": [user.id for user in found],
        "statuses": sorted({user.routing_status.status for user in found}),
        "presences": sorted({user.presence.presence_definition.system_presence for user in found}),
        "presence_times": all(user.presence.modified_date.tzinfo for user in found),
        "away": sorted({user.out_of_office.active for user in found}),
        "contacts": sorted({contact.media_type for contact in found[0].primary_contact_info}),
        "images": len(found[0].images),
        "off_queue": [user.id for user in found if user.routing_status.status == "OFF_QUEUE"],
        "some": [user.id for user in some.entities],
        "one": [one.id, one.presence.source],
    }


def collections(client: Any) -> dict[str, Any]:
    routing, groups = Sdk.RoutingApi(client), Sdk.GroupsApi(client)
    users = Sdk.UsersApi(client)
    queues = list(all_of(lambda n: routing.get_routing_queues(page_size=25, page_number=n)))
    largest = max(queues, key=lambda queue: queue.member_count)
    members = list(
        all_of(
            lambda n: routing.get_routing_queue_members(
                largest.id, page_size=10, page_number=n, expand=["routingStatus"]
            )
        )
    )
    found = groups.get_groups(page_size=100).entities
    in_group = list(
        all_of(lambda n: groups.get_group_members(found[0].id, page_size=5, page_number=n))
    )
    divisions = Sdk.AuthorizationApi(client).get_authorization_divisions(page_size=100)
    return {
        "member_count": largest.member_count,
        "members": [member.id for member in members],
        "queues_of_member": [
            queue.id
            for queue in all_of(
                lambda n: users.get_user_queues(
                    members[0].id, page_size=1, page_number=n, joined=True
                )
            )
        ],
        "largest": largest.id,
        "member_users": [member.user.id for member in members],
        "member_statuses": sorted({member.routing_status.status for member in members}),
        "too_many": error_of(lambda: routing.get_routing_queue_members(largest.id, page_size=101)),
        "group_count": found[0].member_count,
        "in_group": len({user.id for user in in_group}),
        "home_divisions": sum(one.home_division for one in divisions.entities),
        "organization": Sdk.OrganizationApi(client).get_organizations_me().state,
    }


def definitions(client: Any) -> dict[str, Any]:
    api = Sdk.PresenceApi(client)
    usual = api.get_presence_definitions()
    every = api.get_presence_definitions(locale_code="ALL")
    gone = api.get_presence_definitions(deactivated="TRUE")
    legacy = list(
        all_of(
            lambda n: api.get_presencedefinitions(
                page_size=5, page_number=n, deleted="ALL", locale_code="ALL"
            )
        )
    )
    return {
        "total": usual.total,
        "usual_languages": sorted({name for one in usual.entities for name in one.language_labels}),
        "languages": sorted({name for one in every.entities for name in one.language_labels}),
        "types": sorted({one.type for one in every.entities}),
        "system": sorted({one.system_presence for one in every.entities}),
        "gone": len(gone.entities),
        "legacy": len(legacy),
        "legacy_primary": sum(one.primary for one in legacy),
    }


def presences(client: Any, user: str, others: list[str]) -> dict[str, Any]:
    api, routing = Sdk.PresenceApi(client), Sdk.UsersApi(client)
    ids = {one.language_labels["en_US"]: one.id for one in api.get_presence_definitions().entities}

    def patched(**fields: Any) -> Any:
        body = Sdk.UserPresence()
        for name, value in fields.items():
            setattr(body, name, value)
        return api.patch_user_presences_purecloud(user, body)

    def definition(name: str) -> Any:
        wanted = Sdk.PresenceDefinition()
        wanted.id = ids[name]
        return wanted

    def status(wanted: str) -> Any:
        body = Sdk.RoutingStatus()
        body.status = wanted
        return routing.put_user_routingstatus(user, body)

    def for_many(ids_of: list[str]) -> list[Any]:
        bodies = []
        for each in ids_of:
            body = Sdk.MutableUserPresence()
            body.id, body.source = each, "PURECLOUD"
            body.presence_definition = definition("Meeting")
            bodies.append(body)
        found: list[Any] = api.put_users_presences_bulk(bodies)
        return found

    meal = patched(presence_definition=definition("Meal"), message="soup")
    off_queue = error_of(lambda: status("IDLE"))
    message = patched(message="tea")
    primary = patched(primary=True)
    read = api.get_user_presence(user, "PURECLOUD")
    patched(presence_definition=definition("On Queue"))
    idle = status("IDLE")
    many = for_many(others)
    bulk = api.get_users_presences_purecloud_bulk(id=others)
    return {
        "meal": [meal.presence_definition.system_presence, meal.message, meal.primary],
        "message": [message.presence_definition.system_presence, message.message],
        "primary": [primary.presence_definition.system_presence, primary.primary],
        "read": [read.message, read.modified_date == primary.modified_date],
        "off_queue": off_queue,
        "on_queue": [idle.status, routing.get_user_routingstatus(user).status],
        "many": [one.id for one in many],
        "bulk": [one.user_id for one in bulk],
        "bulk_definitions": sorted({one.presence_definition.system_presence for one in bulk}),
        "nothing": error_of(patched),
        "unknown": error_of(lambda: patched(presence_definition=Sdk.PresenceDefinition())),
    }


def channels(client: Any, user: str) -> dict[str, Any]:
    api = Sdk.NotificationsApi(client)

    def topics(*kinds: str) -> list[Any]:
        found = []
        for kind in kinds:
            topic = Sdk.ChannelTopic()
            topic.id = f"v2.users.{user}.{kind}"
            found.append(topic)
        return found

    def listening() -> list[str]:
        found = api.get_notifications_channel_subscriptions(channel.id).entities
        return sorted(topic.id.rpartition(".")[2] for topic in found)

    channel = api.post_notifications_channels()
    api.head_notifications_channel(channel.id)
    added = api.post_notifications_channel_subscriptions(channel.id, topics("activity"))
    api.post_notifications_channel_subscriptions(channel.id, topics("presence"))
    after_post = listening()
    put = api.put_notifications_channel_subscriptions(
        channel.id, topics("routingStatus", "weather"), ignore_errors=True
    )
    after_put = listening()
    refused = error_of(
        lambda: api.put_notifications_channel_subscriptions(channel.id, topics("weather"))
    )
    api.delete_notifications_channel_subscriptions(channel.id)
    return {
        "connect_uri": channel.connect_uri,
        "has_end": channel.expires.tzinfo is not None,
        "listed": [one.id == channel.id for one in api.get_notifications_channels().entities],
        "listed_all": len(api.get_notifications_channels(includechannels="oauthclient").entities),
        "added": [one.state for one in added.entities],
        "after_post": after_post,
        "put": sorted([one.state, bool(one.rejection_reason)] for one in put.entities),
        "after_put": after_put,
        "refused": refused,
        "after_delete": listening(),
        "gone": error_of(lambda: api.head_notifications_channel("nothing")),
    }


def main(base_url: str, client_id: str, client_secret: str) -> None:
    client = signed_in(base_url, client_id, client_secret)
    found = users(client)
    seen = {
        "users": found,
        "collections": collections(client),
        "definitions": definitions(client),
        "presences": presences(client, found["off_queue"][0], found["users"][-3:]),
        "channels": channels(client, found["users"][0]),
    }
    seen["stranger"] = error_of(lambda: Sdk.UsersApi(client).get_user("nobody"))
    client.access_token = "wrong"
    seen["refused"] = error_of(lambda: Sdk.UsersApi(client).get_users())
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
