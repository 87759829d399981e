"""Why pairings fail, in numbers for the wire and words for people."""

from enum import IntEnum

from latticework.wire import PeerError


class Failure(IntEnum):
    """Sent in a refusal, save `LOST`; never reused."""

    WRONG_CODE = 1
    EXPIRED = 2
    USED = 3
    PERSON = 4
    HAS_DEVICES = 5
    HAS_SPACES = 6
    PROTOCOL = 7
    WRONG_DEVICE = 8
    ROSTER = 9
    TIMEOUT = 10
    LOST = 11

    @property
    def word(self) -> str:
        """The short code, for example `wrong-code`."""
        return self.name.lower().replace("_", "-")


class PairingError(PeerError):
    """A pairing that ends; `told` when the other side said so."""

    def __init__(self, failure: Failure, *, told: bool = False, detail: str = "") -> None:
        text = (_TOLD if told else _FOUND)[failure]
        super().__init__(failure.word, f"{text} ({detail})" if detail else text)
        self.failure = failure
        self.told = told


_WRONG_CODE = "the code is wrong or someone is in between; make a new code"

_FOUND = {
    Failure.WRONG_CODE: _WRONG_CODE,
    Failure.EXPIRED: "the other device used a code that has expired; make a new code",
    Failure.USED: "the other device used a code that was already used; make a new code",
    Failure.PERSON: "pairing was declined here",
    Failure.HAS_DEVICES: "the other device already belongs to an account with other devices; remove it there first",
    Failure.HAS_SPACES: "the other device already has folders of its own; remove them there first",
    Failure.PROTOCOL: "the other device sent something that does not belong here",
    Failure.WRONG_DEVICE: "the device that answered is not the one whose code was used; make a new code",
    Failure.ROSTER: "the account's list of devices does not hold together",
    Failure.TIMEOUT: "the other device or its person took too long; make a new code",
    Failure.LOST: "the connection to the other device was lost; make a new code",
}

_TOLD = {
    Failure.WRONG_CODE: _WRONG_CODE,
    Failure.EXPIRED: "the code has expired; make a new code on the other device",
    Failure.USED: "the code was already used; make a new code on the other device",
    Failure.PERSON: "pairing was declined at the other device",
    Failure.HAS_DEVICES: "this device already belongs to an account with other devices; it cannot join another",
    Failure.HAS_SPACES: "this device already has folders of its own; remove them before it joins an account",
    Failure.PROTOCOL: "the other device did not understand this one; update both",
    Failure.WRONG_DEVICE: "the other device expected another one; make a new code",
    Failure.ROSTER: "the other device cannot accept the account's list of devices",
    Failure.TIMEOUT: "the other device gave up waiting; make a new code",
    Failure.LOST: "the other device lost the connection; make a new code",
}
