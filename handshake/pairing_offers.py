"""The live offers of a sponsor: a pure register of codes, each good for one guess within five minutes.

An offer is burned when the first SPAKE2 message for it is answered, whoever sent it: so a guesser has one guess in
10^8, and can at worst make the person ask for a new code.
"""

from dataclasses import dataclass, replace
from typing import final

from latticework.wire import LocalError, Rng

from .pairing_code import CodeKind, PairingCode, QrCode, TypedCode, kind_of
from .pairing_failures import Failure
from .params import (
    MAX_ADDRESS_BYTES,
    MAX_OFFERS,
    MAX_QR_ADDRESSES,
    NAMEPLATE_DIGITS,
    OFFER_REMEMBERED_US,
    OFFER_VALID_US,
    PAIRING_SECRET_DIGITS,
    QR_SECRET_BYTES,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One code; `code` is None once it is burned, so that its secret is gone."""

    kind: CodeKind
    code: PairingCode | None
    expires_us: int


@final
class Offers:
    """Offers by nameplate. Several pairing machines share one register; all calls come from one task."""

    def __init__(self, max_live: int = MAX_OFFERS) -> None:
        self._max_live = max_live
        self._offers: dict[str, Offer] = {}

    def offer_typed(self, rng: Rng, now_us: int) -> TypedCode:
        """A fresh code to type.

        Raises:
            LocalError: too many codes are live.
        """
        nameplate = self._free_nameplate(rng, now_us)
        code = TypedCode(nameplate, _digits(rng, PAIRING_SECRET_DIGITS))
        return self._add(code, now_us)

    def offer_qr(self, rng: Rng, certificate_hash: bytes, addresses: tuple[str, ...], now_us: int) -> QrCode:
        """A fresh code to scan; at most 8 addresses are kept, those too long are left out.

        Raises:
            LocalError: too many codes are live.
        """
        nameplate = self._free_nameplate(rng, now_us)
        short_ones = tuple(address for address in addresses if len(address.encode()) <= MAX_ADDRESS_BYTES)
        secret = rng.random_bytes(QR_SECRET_BYTES)
        return self._add(QrCode(nameplate, secret, certificate_hash, short_ones[:MAX_QR_ADDRESSES]), now_us)

    def find(self, kind: int, nameplate: str, now_us: int) -> PairingCode | Failure:
        """The live code that a joiner means, or why there is none; burns nothing."""
        self._forget(now_us)
        offer = self._offers.get(nameplate)
        if offer is None or offer.kind != kind:
            return Failure.WRONG_CODE
        if offer.code is None:
            return Failure.USED
        return offer.code if now_us < offer.expires_us else Failure.EXPIRED

    def burn(self, nameplate: str) -> None:
        """Use up the offer: a guess was answered, or the person took it back. Burning twice is burning once."""
        if offer := self._offers.get(nameplate):
            self._offers[nameplate] = replace(offer, code=None)

    def live(self, now_us: int) -> tuple[PairingCode, ...]:
        """The codes that a joiner could use now."""
        return tuple(
            offer.code for offer in self._offers.values() if offer.code is not None and now_us < offer.expires_us
        )

    def __repr__(self) -> str:
        return f"Offers({len(self._offers)})"

    def _add[T: (TypedCode, QrCode)](self, code: T, now_us: int) -> T:
        self._offers[code.nameplate] = Offer(kind_of(code), code, now_us + OFFER_VALID_US)
        return code

    def _free_nameplate(self, rng: Rng, now_us: int) -> str:
        self._forget(now_us)
        if len(self.live(now_us)) >= self._max_live:
            raise LocalError(f"{self._max_live} pairing codes are waiting already; cancel one or wait five minutes")
        if len(self._offers) >= 10**NAMEPLATE_DIGITS // 2:
            raise LocalError("too many pairing codes were made in the last minutes; wait a little")
        while (nameplate := _digits(rng, NAMEPLATE_DIGITS)) in self._offers:
            pass
        return nameplate

    def _forget(self, now_us: int) -> None:
        gone = [name for name, offer in self._offers.items() if now_us >= offer.expires_us + OFFER_REMEMBERED_US]
        for name in gone:
            del self._offers[name]


def _digits(rng: Rng, count: int) -> str:
    # 16 bytes: the bias of the remainder is below 2^-100.
    return f"{int.from_bytes(rng.random_bytes(16), 'big') % 10**count:0{count}}"
