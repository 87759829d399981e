"""`/lattice/pqx/1`: the online handshake between two devices of one account, in four flights and two round trips.

    f1  A -> B   versions, muxers, EK_A, ephemeral ML-KEM key
    f2  B -> A   choice, EK_B, ct1, sealed(certificate, prekey bundle, transport key, signatures of th2)
    f3  A -> B   sealed(prekey id, ct2), sealed(certificate, transport key, signatures of th3)
    f4  B -> A   key confirmation

It is PQXDH (crypto report 2.3) made interactive, with everything public in one running hash (decision 15). The chaining
key takes in, in this order: EE with the secret of ct1; DH2, DH3 with the secret of ct2 (to B's signed ML-KEM prekey);
DH1. So confidentiality stands while either X25519 or ML-KEM does, authentication while either half of the composite
signature does, and forward secrecy comes from the ephemeral keys, which die with the machines.

Whoever connects and sends a well-formed f1 learns the responder's certificate: an active prober learns who we are, at
the cost of one composite signature of ours; the node limits the rate. The initiator's certificate is shown only to a
responder on the roster that holds its prekeys, and never to an unexpected one. Seals are padded to one size, so
lengths tell passive observers nothing. Nobody who fails learns why: every refusal is the same close.

Departures from decision 15: the transport key signs the transcripts too, so that no device can claim another's PeerId.
"""

from typing import final

from latticework.transport.ports import LATTICE_FRAMING, HandshakeMachine
from latticework.wire import DeviceId, KemProvider, Rng, SignatureProvider, short

from .keys import DeviceKeys
from .params import PQX_PROTOCOL
from .ports import Authorize, TransportSigner
from .pqx_initiator import PqxInitiator
from .pqx_responder import PqxResponder
from .proofs import Terms, local_device


@final
class PqxChannel:
    """A `SecureChannel` for one device.

    `certificate` is the exact signed bytes. Make a new channel when prekeys rotate or the certificate changes:
    handshakes under way keep the old one. Construction signs one prekey bundle.
    """

    protocol = PQX_PROTOCOL
    framing = LATTICE_FRAMING

    def __init__(
        self,
        keys: DeviceKeys,
        certificate: bytes,
        transport: TransportSigner,
        rng: Rng,
        kem: KemProvider,
        signatures: SignatureProvider,
        authorize: Authorize,
    ) -> None:
        local = local_device(keys, certificate, transport, kem, signatures)
        self._terms = Terms(local, rng, kem, signatures, authorize)

    def initiate(self, expected: DeviceId | None = None) -> HandshakeMachine:
        """A machine that dials; any other device than `expected` is refused before it learns who we are."""
        return PqxInitiator(self._terms, expected)

    def respond(self) -> HandshakeMachine:
        """A machine that listens."""
        return PqxResponder(self._terms)

    def expecting(self, device: DeviceId) -> "ExpectingChannel":
        """The same channel for one dial to `device`."""
        return ExpectingChannel(self, device)


@final
class ExpectingChannel:
    """A `SecureChannel` whose initiators accept one device only."""

    protocol = PQX_PROTOCOL
    framing = LATTICE_FRAMING

    def __init__(self, channel: PqxChannel, device: DeviceId) -> None:
        self._channel = channel
        self._device = device

    def __repr__(self) -> str:
        return f"ExpectingChannel({short(self._device)})"

    def initiate(self) -> HandshakeMachine:
        """A machine that dials the expected device."""
        return self._channel.initiate(self._device)

    def respond(self) -> HandshakeMachine:
        """A machine that listens; it expects nobody in particular."""
        return self._channel.respond()
