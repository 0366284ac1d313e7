"""GatewayAddresses: where the settings say that the gateway is, for each OAuth client. Pure."""

from __future__ import annotations

from actors.genesys.cloud import hosts
from actors.genesys.http import GatewayAddress
from actors.settings.model import Settings


def gateway_address(settings: Settings) -> GatewayAddress:
    """As the first OAuth client reaches it."""
    return gateway_addresses(settings)[0]


def gateway_addresses(settings: Settings) -> tuple[GatewayAddress, ...]:
    """One for each OAuth client."""
    is_cloud = settings.dialect == "cloud"
    token_url = hosts(settings.region, settings.base_url).token_url if is_cloud else None
    return tuple(
        GatewayAddress(
            api_url=settings.api_url,
            credentials=credentials,
            token_url=token_url,
            ca_file=settings.ca_file,
            proxy=settings.proxy,
        )
        for credentials in settings.all_credentials
    )
