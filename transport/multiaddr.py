"""Where a peer can be reached, as text and as bytes that describe themselves.

Source: multiformats/multiaddr and its table of protocols. Only the shapes that this node dials or listens on are
accepted: a host (`ip4`, `ip6`, `dns`, `dns4`, `dns6`) with a `tcp` or `udp` port, or `/memory/<n>` for the simulator,
each with an optional `p2p` name behind. Everything else is `MalformedError`, so whoever holds a `Multiaddr` can use it.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self, final

from latticework.wire import MalformedError

from .peer_id import PeerId
from .varint import decode_varint, encode_varint

MAX_ADDRESS_BYTES = 512
"""Text or binary; the longest legal one (253-byte name, port, peer id) has 324."""

_CODES = {"ip4": 4, "tcp": 6, "ip6": 41, "dns": 53, "dns4": 54, "dns6": 55, "udp": 273, "p2p": 421, "memory": 777}
_NAMES = {code: name for name, code in _CODES.items()}
_FIXED_BYTES = {"ip4": 4, "ip6": 16, "tcp": 2, "udp": 2, "memory": 8}
_HOSTS = frozenset({"ip4", "ip6", "dns", "dns4", "dns6"})
_PORTS = frozenset({"tcp", "udp"})
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MAX_NAME_CHARS = 253


@final
@dataclass(frozen=True, slots=True)
class Multiaddr:
    """An address; `parts` are (protocol, canonical value) pairs of a shape the module docstring lists."""

    parts: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that `text` writes; raises MalformedError."""
        if len(text) > MAX_ADDRESS_BYTES or not text.startswith("/"):
            raise MalformedError(f"not a multiaddr: {text[:64]!r}")
        fields = text[1:].split("/")
        if len(fields) % 2:
            raise MalformedError(f"a protocol without a value in {text[:64]!r}")
        pairs = zip(fields[::2], fields[1::2], strict=True)
        return cls(_shape(tuple((name, _canonical(name, value)) for name, value in pairs)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The address that `data` encodes; raises MalformedError."""
        if len(data) > MAX_ADDRESS_BYTES:
            raise MalformedError(f"a multiaddr of {len(data)} bytes")
        parts: list[tuple[str, str]] = []
        offset = 0
        while offset < len(data):
            name, value, offset = _decode_part(data, offset)
            parts.append((name, _canonical(name, value)))
        return cls(_shape(tuple(parts)))

    @classmethod
    def tcp(cls, host: str, port: int) -> Self:
        """The address of a TCP port; `host` is an IP address of either version or a name."""
        try:
            kind = f"ip{ipaddress.ip_address(host).version}"
        except ValueError:
            kind = "dns"
        return cls.parse(f"/{kind}/{host}/tcp/{port}")

    @classmethod
    def memory(cls, number: int) -> Self:
        """The simulator's endpoint `number`."""
        return cls.parse(f"/memory/{number}")

    def to_bytes(self) -> bytes:
        """The binary form, as identify carries it."""
        return b"".join(encode_varint(_CODES[name]) + _encode_value(name, value) for name, value in self.parts)

    @property
    def transport(self) -> str:
        """`tcp`, `udp` or `memory`."""
        return self.parts[0][0] if self.parts[0][0] == "memory" else self.parts[1][0]

    @property
    def host(self) -> str:
        """The IP address or name; the number of a memory address."""
        return self.parts[0][1]

    @property
    def port(self) -> int:
        """The port; 0 for a memory address."""
        return 0 if self.transport == "memory" else int(self.parts[1][1])

    @property
    def peer_id(self) -> PeerId | None:
        """Whom the address claims to lead to."""
        name, value = self.parts[-1]
        return PeerId.parse(value) if name == "p2p" else None

    def with_peer(self, peer_id: PeerId | None) -> Self:
        """The same place, leading to `peer_id` or to nobody in particular."""
        place = tuple(part for part in self.parts if part[0] != "p2p")
        return type(self)(place if peer_id is None else (*place, ("p2p", str(peer_id))))

    def __str__(self) -> str:
        return "".join(f"/{name}/{value}" for name, value in self.parts)


def _shape(parts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    names = [name for name, _ in parts]
    if names and names[-1] == "p2p":
        names.pop()
    is_place = len(names) == 2 and names[0] in _HOSTS and names[1] in _PORTS
    if not is_place and names != ["memory"]:
        raise MalformedError(f"unsupported address /{'/'.join(names)[:64]}")
    return parts


def _canonical(name: str, value: str) -> str:
    match name:
        case "ip4" | "ip6":
            return _canonical_ip(value, 4 if name == "ip4" else 6)
        case "tcp" | "udp":
            return _canonical_number(value, (1 << 16) - 1)
        case "memory":
            return _canonical_number(value, (1 << 64) - 1)
        case "dns" | "dns4" | "dns6":
            if len(value) > _MAX_NAME_CHARS or not all(_LABEL.fullmatch(label) for label in value.split(".")):
                raise MalformedError(f"not a host name: {value[:64]!r}")
            return value.lower()
        case "p2p":
            return str(PeerId.parse(value))
        case _:
            raise MalformedError(f"unknown protocol {name[:32]!r} in a multiaddr")


def _canonical_ip(value: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise MalformedError(f"not an IP address: {value[:64]!r}") from error
    if address.version != version or "%" in value:
        raise MalformedError(f"not an address of IP version {version} without a zone: {value[:64]!r}")
    return str(address)


def _canonical_number(value: str, maximum: int) -> str:
    if not value.isascii() or not value.isdecimal() or len(value) > 20 or int(value) > maximum:
        raise MalformedError(f"not a number up to {maximum}: {value[:32]!r}")
    return str(int(value))


def _encode_value(name: str, value: str) -> bytes:
    match name:
        case "ip4" | "ip6":
            return ipaddress.ip_address(value).packed
        case "tcp" | "udp" | "memory":
            return int(value).to_bytes(_FIXED_BYTES[name], "big")
        case "p2p":
            raw = PeerId.parse(value).multihash
        case _:
            raw = value.encode("ascii")
    return encode_varint(len(raw)) + raw


def _decode_part(data: bytes, offset: int) -> tuple[str, str, int]:
    code = decode_varint(data, offset)
    name = _NAMES.get(code[0]) if code else None
    if code is None or name is None:
        raise MalformedError("truncated multiaddr" if code is None else f"unknown multiaddr protocol {code[0]}")
    start = code[1]
    size = _FIXED_BYTES.get(name)
    if size is None:
        prefix = decode_varint(data, start)
        if prefix is None:
            raise MalformedError("truncated multiaddr")
        size, start = prefix
    raw = data[start : start + size]
    if len(raw) != size:
        raise MalformedError("truncated multiaddr")
    return name, _decode_value(name, raw), start + size


def _decode_value(name: str, raw: bytes) -> str:
    match name:
        case "ip4" | "ip6":
            return str(ipaddress.ip_address(raw))
        case "tcp" | "udp" | "memory":
            return str(int.from_bytes(raw, "big"))
        case "p2p":
            return str(PeerId.from_bytes(raw))
        case _:
            try:
                return raw.decode("ascii")
            except UnicodeDecodeError as error:
                raise MalformedError("host name that is not ASCII") from error
