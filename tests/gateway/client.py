"""The product's REST client of the bundled gateway."""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager

from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import GatewayAddress
from actors.genesys.rate_budget import Budget
from tests.gateway.bundled import CloudServed, served
from tests.gateway.scripted_cloud import rest_at

bundled = functools.partial(served, quiet_every=50)


def address_of(gateway: CloudServed) -> GatewayAddress:
    """Of its first OAuth client."""
    url, client = gateway.ready["base_url"], gateway.ready["clients"][0]
    return GatewayAddress(
        api_url=url,
        credentials=lambda: (client["client_id"], client["client_secret"]),
        token_url=f"{url}/oauth/token",
    )


def rest_of(gateway: CloudServed) -> AbstractAsyncContextManager[CloudRest]:
    return rest_at(address_of(gateway), Budget(300), in_service=False)
