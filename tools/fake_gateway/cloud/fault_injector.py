"""CloudFaultInjector: what the faults of the cloud dialect do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.fake_gateway.cloud.channels import Channel
from tools.fake_gateway.cloud.faults import CHANNEL_FAULTS, FRAME_FAULTS, PROFILES, CloudFault
from tools.fake_gateway.fault_injector import FaultInjector, disturb
from tools.fake_gateway.ledger import now_us

if TYPE_CHECKING:
    from tools.fake_gateway.cloud.server import CloudGateway


class CloudFaultInjector(FaultInjector[CloudFault]):
    fault, profiles, seed = CloudFault, PROFILES, "cloud faults"

    def __init__(self, gateway: CloudGateway) -> None:
        super().__init__(gateway)
        self._gateway = gateway

    def _inject(self, fault: CloudFault) -> None:
        gateway = self._gateway
        gateway.traffic.settle()
        channels = self._met(fault)
        serials = [channel.serial for channel in channels]
        self._ledger.write("fault", what=fault.kind, channels=serials, at_us=now_us())
        if fault.kind in self._gates:
            self._gates[fault.kind].order(fault)
        elif fault.kind == "slow-rest":
            gateway.api_middleware.slow_s.extend([fault.seconds] * fault.count)
        elif fault.kind == "expire-tokens":
            for client in gateway.oauth.clients:
                client.tokens.expire_all()
        elif fault.kind in CHANNEL_FAULTS:
            for channel in channels:
                gateway.channels.remove(channel)
                gateway.lost(channel, CHANNEL_FAULTS[fault.kind])
        else:
            for channel in channels:
                self._disturb(fault, channel)

    def _met(self, fault: CloudFault) -> list[Channel]:
        channels = [one for one in self._gateway.channels if fault.channel in (None, one.serial)]
        if fault.some is not None and fault.some < len(channels):
            return self._plan.rng.sample(channels, fault.some)
        return channels

    def _disturb(self, fault: CloudFault, channel: Channel) -> None:
        connection = self._gateway.sockets.connection_of(channel)
        if connection is None:
            return
        if fault.kind in FRAME_FAULTS:
            connection.broken.extend([fault.kind] * fault.count)
        elif fault.kind == "closing":
            self._gateway.sockets.announce_closing(connection, fault.seconds)
        else:
            disturb(fault, connection)
