"""Settings of a demo's runtime: what was asked for, as an operator would have written it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import SecretStr

from actors.demo.gateway import BundledGateway
from actors.demo.plan import DemoPlan
from actors.settings.cloud import CLIENTS_OF_A_RECEIVER_MAX, ClientSettings, CloudSettings
from actors.settings.model import RestartSettings, Settings
from actors.settings.sender import SenderSettings, WebhookSettings
from actors.settings.sinks import SinkSettings
from actors.settings.web import WebSettings

PAGE_ADDRESS: Final = "127.0.0.1:0"
# A troubled demo puts a day's faults into a minute, so what waits for them to pass must be brief,
# and no number of them is a reason to give up. In wsp one line is the whole stream; in the cloud
# dialect each channel waits for itself, and handshakes are counted against a budget.
TROUBLED_BACKOFF_S: Final = {"wsp": 1.0, "cloud": 5.0}
TROUBLED_RESTARTS: Final = RestartSettings(intensity=1000, period_s=60.0)


def settings_of(
    plan: DemoPlan, gateway: BundledGateway, data_dir: Path, *, sink_path: Path
) -> Settings:
    """`sink_path`: of a sink that whole lives are held against as well."""
    others = [
        ClientSettings(client_id=name, client_secret=SecretStr(secret))
        for name, secret in gateway.clients[1:]
    ]
    settings = Settings(
        name="demo",
        dialect=plan.dialect,
        base_url=gateway.base_url,
        client_id=gateway.client_id,
        client_secret=SecretStr(gateway.client_secret),
        clients=tuple(others),
        cloud=CloudSettings(
            topics=plan.topics,
            watch=plan.watch,
            watch_ids=() if plan.watch == "all" else tuple(gateway.collections(plan.watch)),
            roster_every_s=plan.roster_every_s,
            topics_per_channel_max=plan.topics_per_channel_max,
        ),
        receivers=-(-plan.clients // CLIENTS_OF_A_RECEIVER_MAX),
        ca_file=gateway.ca_file,
        data_dir=data_dir,
        shards=plan.shards,
        journal=plan.journal,
        web=WebSettings(listen=PAGE_ADDRESS),
        sinks=(
            (SinkSettings(name="demo", kind="jsonl", path=sink_path, rotate_mb=0),)
            if plan.kill_all_every_s is not None
            else ()
        ),
        sender=SenderSettings(
            webhook=WebhookSettings(
                url=gateway.webhook_url, secret=SecretStr(gateway.webhook_secret)
            )
        ),
    )
    if not plan.is_troubled:
        return settings
    return settings.model_copy(
        update={
            "attempts_max": 0,
            "restart": TROUBLED_RESTARTS,
            "backoff_max_s": TROUBLED_BACKOFF_S[plan.dialect],
        }
    )
