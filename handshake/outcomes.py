"""How handshakes end."""

from dataclasses import dataclass

from latticework.crdt.roster import Member
from latticework.transport.ports import Algorithms, Established
from latticework.wire import KemProvider

from .params import CIPHER, PQX_PROTOCOL
from .proofs import Terms
from .records import AesGcmRecords


@dataclass(frozen=True, slots=True)
class Finished:
    """Established or refused; every further message is refused."""


def hybrid_name(kem: KemProvider) -> str:
    """The key agreement as people see it."""
    return f"X25519+{kem.name}"


def established(terms: Terms, records: AesGcmRecords, member: Member, transport_key: bytes, muxer: str) -> Established:
    """The outcome of a handshake in which both ends have proven who they are."""
    algorithms = Algorithms(PQX_PROTOCOL, hybrid_name(terms.kem), terms.signatures.name, CIPHER)
    return Established(records, member.device, transport_key, muxer, algorithms)
