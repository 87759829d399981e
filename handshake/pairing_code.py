"""Pairing codes: what a person types (`4821-0937-5516`) and what a camera reads (`lattice:pair?...`).

The first group of a typed code is the nameplate, which finds the offer and is no secret; the other eight digits are. A
QR code carries a 32-byte secret, and the hash of the sponsor's certificate, so that even a broken PAKE could not put
another device in its place (decision 18).
"""

import base64
import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote, unquote

from latticework.wire import Label, LocalError, encode_plain

from .params import (
    MAX_ADDRESS_BYTES,
    MAX_QR_ADDRESSES,
    MAX_QR_BYTES,
    NAMEPLATE_DIGITS,
    PAIRING_CODE_DIGITS,
)

_QR = re.compile(
    r"lattice:pair\?v=1&n=(?P<nameplate>[0-9]{4})&s=(?P<secret>[\w-]{43})&h=(?P<hash>[\w-]{43})(?P<addresses>(?:&a=[^&]+)*)",
    re.ASCII,
)
_EXAMPLE = "a pairing code has 12 digits, like 4821-0937-5516"


class CodeKind(IntEnum):
    """How the secret reached the joiner; bound into the password."""

    TYPED = 1
    QR = 2


@dataclass(frozen=True, slots=True, repr=False)
class TypedCode:
    """4 digits of nameplate, 8 digits of secret."""

    nameplate: str
    secret: str

    @property
    def text(self) -> str:
        """`NNNN-NNNN-NNNN`."""
        return f"{self.nameplate}-{self.secret[:4]}-{self.secret[4:]}"

    def __repr__(self) -> str:
        return f"TypedCode({self.nameplate}-****-****)"


@dataclass(frozen=True, slots=True, repr=False)
class QrCode:
    """A 32-byte secret, the sponsor's 32-byte certificate hash, and where the sponsor listens."""

    nameplate: str
    secret: bytes
    certificate_hash: bytes
    addresses: tuple[str, ...]

    @property
    def uri(self) -> str:
        """`lattice:pair?v=1&n=...&s=...&h=...&a=...`; secret and hash in base64url without padding."""
        addresses = "".join(f"&a={quote(address, safe='/:')}" for address in self.addresses)
        secret, digest = _base64(self.secret), _base64(self.certificate_hash)
        return f"lattice:pair?v=1&n={self.nameplate}&s={secret}&h={digest}{addresses}"

    def __repr__(self) -> str:
        return f"QrCode({self.nameplate})"


type PairingCode = TypedCode | QrCode


def kind_of(code: PairingCode) -> CodeKind:
    """The kind as it is sent."""
    return CodeKind.QR if isinstance(code, QrCode) else CodeKind.TYPED


def password_of(code: PairingCode) -> bytes:
    """The SPAKE2 password: label, kind, nameplate and secret, framed."""
    secret = code.secret if isinstance(code, QrCode) else code.secret.encode()
    return Label.PAIRING.value + encode_plain([kind_of(code).value, code.nameplate, secret])


def parse_typed(text: str) -> TypedCode:
    """Read what a person typed; spaces, dashes and full-width digits are forgiven.

    Raises:
        LocalError: not 12 digits; the message says what is wrong.
    """
    kept = [
        character
        for character in unicodedata.normalize("NFKC", text)
        if not character.isspace() and unicodedata.category(character) != "Pd"
    ]
    strange = next((character for character in kept if character not in "0123456789"), None)
    if strange is not None:
        raise LocalError(f"{_EXAMPLE}; {strange!r} is not a digit")
    if len(kept) != PAIRING_CODE_DIGITS:
        raise LocalError(f"{_EXAMPLE}; this one has {len(kept)}")
    digits = "".join(kept)
    return TypedCode(digits[:NAMEPLATE_DIGITS], digits[NAMEPLATE_DIGITS:])


def parse_qr(text: str) -> QrCode:
    """Read a scanned payload; only exactly what `QrCode.uri` writes is accepted.

    Raises:
        LocalError: not a pairing QR code of a version we know, or damaged.
    """
    if not text.startswith("lattice:pair?"):
        raise LocalError("this QR code is not a Latticework pairing code")
    if not text.startswith("lattice:pair?v=1&"):
        raise LocalError("this pairing code was made by another version of Latticework; update this device")
    match = _QR.fullmatch(text) if len(text) <= MAX_QR_BYTES else None
    code = None if match is None else _read_qr(match)
    if code is None or code.uri != text:
        raise LocalError("this pairing code is damaged; scan it again")
    return code


def _read_qr(match: re.Match[str]) -> QrCode | None:
    addresses = tuple(unquote(address, errors="replace") for address in match["addresses"].split("&a=")[1:])
    if len(addresses) > MAX_QR_ADDRESSES or any(len(a.encode()) > MAX_ADDRESS_BYTES for a in addresses):
        return None
    return QrCode(match["nameplate"], _unbase64(match["secret"]), _unbase64(match["hash"]), addresses)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=")
