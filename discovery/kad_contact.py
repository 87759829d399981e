"""Keys of Kademlia and the peers that have them: SHA-256 read as a number, XOR as the distance.

Names are hashed by whoever receives them, as in libp2p: nobody can ask about a key without a name for it. So what we
look for to refresh a bucket comes out of a table of names whose keys begin with every prefix of `REFRESH_BITS`.
"""

import ipaddress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import final

from latticework.transport import Multiaddr, PeerId
from latticework.wire import Rng

from .kad_params import KEY_BITS, MAX_ADDRESSES, REFRESH_BITS

_SHA256_MULTIHASH = bytes.fromhex("1220")
_DRAW_BYTES = 8


@final
@dataclass(frozen=True, slots=True)
class Contact:
    """A peer and where it is said to be; the first `MAX_ADDRESSES` of `addresses` are kept.

    One object serves every table and lookup of a process. `key` is computed here, so nobody can claim one.
    """

    peer: PeerId
    addresses: tuple[Multiaddr, ...]
    key: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", key_of(self.peer.multihash))
        if len(self.addresses) > MAX_ADDRESSES:
            object.__setattr__(self, "addresses", self.addresses[:MAX_ADDRESSES])

    @property
    def network(self) -> str:
        """The public /16 of IPv4 or /32 of IPv6 of its first address; empty for a private or unnumbered one."""
        parts = self.addresses[0].parts if self.addresses else ()
        if not parts or parts[0][0] not in {"ip4", "ip6"}:
            return ""
        address = ipaddress.ip_address(parts[0][1])
        return address.packed[: address.version - 2].hex() if address.is_global else ""


def key_of(name: bytes) -> int:
    """The 256-bit key of a peer id's multihash or of a record's key."""
    return int.from_bytes(sha256(name).digest())


def shared_prefix(key: int, other: int) -> int:
    """Leading bits that two keys have in common, 0 to 256: the number of the bucket that one is in for the other."""
    return KEY_BITS - (key ^ other).bit_length()


def below(rng: Rng, count: int) -> int:
    """A number of 0 to `count` - 1; the bias is `count` / 2**64."""
    return int.from_bytes(rng.random_bytes(_DRAW_BYTES)) * count >> 8 * _DRAW_BYTES


def refresh_name(own_key: int, bucket: int, rng: Rng) -> bytes:
    """A name, in the form of a peer id, whose key is somewhere in our bucket `bucket`, 0 to `REFRESH_BITS` - 1."""
    free = REFRESH_BITS - 1 - bucket
    flipped = (own_key >> (KEY_BITS - 1 - bucket)) ^ 1
    return _names()[flipped << free | below(rng, 1 << free)]


@cache
def _names() -> tuple[bytes, ...]:
    """A name for every prefix of `REFRESH_BITS`; found by trying."""
    found: dict[int, bytes] = {}
    number = 0
    while len(found) < 1 << REFRESH_BITS:
        name = _SHA256_MULTIHASH + number.to_bytes(32)
        found.setdefault(key_of(name) >> (KEY_BITS - REFRESH_BITS), name)
        number += 1
    return tuple(found[prefix] for prefix in range(1 << REFRESH_BITS))
