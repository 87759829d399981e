"""SPAKE2 over Ed25519 (Abdalla and Pointcheval 2005) from the package `spake2`, with our randomness and errors.

The package is pure Python and not constant-time; each password is used once, within five minutes, so a timing attacker
sees one run of it.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol, cast, final

import spake2
from spake2.ed25519_basic import NotOnCurve

from latticework.wire import MalformedError, Rng

_JOINER_ID = b"joiner"
_SPONSOR_ID = b"sponsor"


class _Side(Protocol):
    def start(self) -> bytes: ...
    def finish(self, inbound_side_and_message: bytes, /) -> bytes: ...


class _MakeSide(Protocol):
    def __call__(self, password: bytes, *, idA: bytes, idB: bytes, entropy_f: Callable[[int], bytes]) -> _Side: ...  # noqa: N803  # the package's names


class Role(Enum):
    """The joiner speaks first."""

    JOINER = "joiner"
    SPONSOR = "sponsor"


_SIDES = {
    Role.JOINER: cast("_MakeSide", spake2.SPAKE2_A),
    Role.SPONSOR: cast("_MakeSide", spake2.SPAKE2_B),
}


@final
class Spake:
    """One run of one side; `share` is the 33-byte message for the other."""

    __slots__ = ("_side", "share")

    def __init__(self, role: Role, password: bytes, rng: Rng) -> None:
        self._side = _SIDES[role](password, idA=_JOINER_ID, idB=_SPONSOR_ID, entropy_f=rng.random_bytes)
        self.share = self._side.start()

    def finish(self, share: bytes) -> bytes:
        """The 32-byte key; another's only if the passwords are equal. Once per object.

        Raises:
            MalformedError: `share` is reflected, of the same side, or no point of the prime-order group.
        """
        try:
            return self._side.finish(share)
        except (spake2.SPAKEError, NotOnCurve, ValueError) as error:
            raise MalformedError("not a SPAKE2 message") from error

    def __repr__(self) -> str:
        return "Spake(...)"
