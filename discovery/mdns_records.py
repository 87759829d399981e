"""libp2p's mDNS records, pure: what we announce, and what strangers' bytes mean.

Source: libp2p/specs discovery/mdns.md. A PTR from `_p2p._udp.local` leads to a random instance name; the TXT record
there holds one string `dnsaddr=<multiaddr>/p2p/<peer id>` per address. All strings share the key, so a dictionary of
TXT properties keeps one address only (py-libp2p's fault); therefore these functions read and write the raw TXT bytes.

The instance name is random and the peer id is fresh at each start (decision 14): the records link nothing.
"""

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from latticework.transport import Multiaddr, PeerId
from latticework.wire import MalformedError, Rng

from .params import (
    MDNS_INSTANCE_BYTES,
    MDNS_KEY,
    MDNS_MAX_ADDRESSES,
    MDNS_MAX_INSTANCE_CHARS,
    MDNS_MAX_TXT_BYTES,
    MDNS_MIN_INSTANCE_CHARS,
    MDNS_SERVICE,
)


class IgnoreReason(StrEnum):
    """Why a record was ignored."""

    BAD_INSTANCE = "the instance name is not 32 to 63 printable characters before the service name"
    TOO_LONG = "the TXT record is too long"
    BROKEN_TXT = "a TXT string runs over the end"
    MIXED_PEERS = "the addresses name several peers"
    NO_ADDRESS = "no address that we could dial"


@dataclass(frozen=True, slots=True)
class Heard:
    """A peer and where it says it is: 1 to `MDNS_MAX_ADDRESSES` addresses without `/p2p`."""

    peer_id: PeerId
    addresses: tuple[Multiaddr, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that says nothing to us."""

    reason: IgnoreReason


def new_instance(rng: Rng) -> str:
    """A fresh full instance name: 32 random characters before the service name."""
    return base64.b32encode(rng.random_bytes(MDNS_INSTANCE_BYTES)).decode().lower() + "." + MDNS_SERVICE


def announceable(addresses: Sequence[Multiaddr], *, loopback: bool) -> tuple[Multiaddr, ...]:
    """Those of `addresses` that another machine can dial: TCP on an IP address, never a wildcard; at most 16.

    Loopback addresses only if `loopback`. Link-local IPv6 is left out: it means nothing without its zone.
    """
    places = dict.fromkeys(address.with_peer(None) for address in addresses)
    return tuple(place for place in places if _dialable(place, loopback=loopback))[:MDNS_MAX_ADDRESSES]


def build_txt(peer_id: PeerId, addresses: Sequence[Multiaddr]) -> bytes:
    """The TXT data that announces `addresses` (of `announceable`) for `peer_id`; one zero byte if there are none."""
    strings = [f"{MDNS_KEY}{address.with_peer(peer_id)}".encode() for address in addresses]
    return b"".join(bytes([len(string)]) + string for string in strings) or b"\x00"


def parse_record(instance: str, txt: bytes, *, loopback: bool) -> Heard | Ignored:
    """What the TXT data of `instance` says. Any bytes and any name are allowed; nothing is raised.

    Strings with other keys, and addresses that we could not dial (QUIC, wildcards), are skipped.
    """
    if not _is_instance(instance):
        return Ignored(IgnoreReason.BAD_INSTANCE)
    if len(txt) > MDNS_MAX_TXT_BYTES:
        return Ignored(IgnoreReason.TOO_LONG)
    strings = _split(txt)
    if strings is None:
        return Ignored(IgnoreReason.BROKEN_TXT)
    named = [address for address in map(_read, strings) if address is not None]
    peers = {address.peer_id for address in named}
    if len(peers) > 1:
        return Ignored(IgnoreReason.MIXED_PEERS)
    places = announceable(named, loopback=loopback)
    peer_id = named[0].peer_id if places else None
    return Ignored(IgnoreReason.NO_ADDRESS) if peer_id is None else Heard(peer_id, places)


def _dialable(place: Multiaddr, *, loopback: bool) -> bool:
    if place.transport != "tcp" or place.port == 0:
        return False
    try:
        ip = ipaddress.ip_address(place.host)
    except ValueError:
        return False
    if ip.version == 6 and ip.is_link_local:
        return False
    if ip.is_loopback:
        return loopback
    return not (ip.is_unspecified or ip.is_multicast or ip.is_reserved)


def _is_instance(name: str) -> bool:
    label, dot, service = name.partition(".")
    printable = label.isascii() and label.isprintable()
    fits = MDNS_MIN_INSTANCE_CHARS <= len(label) <= MDNS_MAX_INSTANCE_CHARS
    return bool(dot) and printable and fits and service.lower() == MDNS_SERVICE


def _split(txt: bytes) -> list[bytes] | None:
    """The strings of TXT data (RFC 1035 section 3.3.14), or None if one is cut off."""
    strings: list[bytes] = []
    offset = 0
    while offset < len(txt):
        end = offset + 1 + txt[offset]
        if end > len(txt):
            return None
        strings.append(txt[offset + 1 : end])
        offset = end
    return strings


def _read(string: bytes) -> Multiaddr | None:
    """The address in one TXT string if it names a peer."""
    if string[: len(MDNS_KEY)].lower() != MDNS_KEY.encode():
        return None
    try:
        address = Multiaddr.parse(string[len(MDNS_KEY) :].decode("ascii"))
    except (MalformedError, UnicodeDecodeError):
        return None
    return None if address.peer_id is None else address
