"""Plain libp2p peers, spoken with over Noise: they get identify and ping, and never anything of ours (decision 16).

Not the node's gossip either: its topics carry our entries.
"""

import logging
from collections.abc import Container
from typing import Final, final

from latticework.transport import (
    IDENTIFY_PROTOCOL,
    PING_PROTOCOL,
    Connection,
    Identity,
    IdentitySigner,
    Multiaddr,
    NoiseChannel,
    Stream,
    answer_identify,
    answer_pings,
)
from latticework.wire import Rng

_log = logging.getLogger(__name__)

PLAIN_PROTOCOLS: Final = (IDENTIFY_PROTOCOL, PING_PROTOCOL)
"""The channel carries nothing else, whatever a peer asks for."""


@final
class PlainPeers:
    """What a node is to peers that are no devices of its account; without `accept` it does not know Noise."""

    def __init__(self, signer: IdentitySigner, rng: Rng, agent: str, *, accept: bool) -> None:
        self.channels: Final = (NoiseChannel(signer, rng, PLAIN_PROTOCOLS),) if accept else ()
        self._transport_key = signer.public
        self._agent = agent

    async def serve(
        self, connection: Connection, listening: tuple[Multiaddr, ...], device_keys: Container[bytes]
    ) -> None:
        """Run `connection` until it ends; a device of ours (one of `device_keys`) that came without pqx is refused."""
        if connection.transport_key in device_keys:
            _log.info("inbound refused: a device of ours came without pqx address=%s", connection.address)
            await connection.aclose()
            return

        async def answer(protocol: str, stream: Stream) -> None:
            if protocol == IDENTIFY_PROTOCOL:
                identity = Identity(self._transport_key, self._agent, PLAIN_PROTOCOLS, listening, connection.address)
                await answer_identify(stream, identity)
            else:
                await answer_pings(stream)

        await connection.run(answer, PLAIN_PROTOCOLS)
