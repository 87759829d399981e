"""What founds a space, and what opens a log in it."""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from latticework.wire import (
    AccountId,
    Bytes,
    Const,
    DeviceId,
    Label,
    LogId,
    SignatureProvider,
    Signer,
    SpaceId,
    Text,
    encode,
    encode_plain,
    record,
)

from .params import MAX_NAME_BYTES
from .roster import Roster


@record("space-genesis")
@dataclass(frozen=True, slots=True)
class SpaceGenesis:
    """What founds a space; its hash is the space's id. `nonce` makes two spaces of one creator distinct."""

    version: Annotated[int, Const(1)]
    account: Annotated[AccountId, Bytes(32)]
    creator: Annotated[DeviceId, Bytes(32)]
    nonce: Annotated[bytes, Bytes(32)]

    @property
    def space(self) -> SpaceId:
        """SHA-256 over the label and the record."""
        return SpaceId(hashlib.sha256(Label.SPACE_GENESIS.value + encode(self)).digest())


@record("log-open")
@dataclass(frozen=True, slots=True)
class LogOpen:
    """The payload of a log's first entry: which device writes it, and that device's composite signature.

    It is sealed like every payload, so that only members can tell whose log this is. `name` is what the device was
    called then: conflict copies are named after it, so it must be the same on every replica at any time.
    """

    device: Annotated[DeviceId, Bytes(32)]
    name: Annotated[str, Text(MAX_NAME_BYTES)]
    signature: Annotated[bytes, Bytes(3373)]


def open_log(space: SpaceId, log: LogId, roster: Roster, own: DeviceId, device: Signer) -> LogOpen:
    """The opening of a log of ours, signed by the device `own` whose key `device` holds."""
    name = roster.members[own].certificate.name
    return LogOpen(own, name, device.sign(_statement(space, log, own, name), Label.LOG_OPEN))


def opening_refusal(
    space: SpaceId, log: LogId, roster: Roster, signatures: SignatureProvider, opening: LogOpen
) -> str | None:
    """Why `opening` opens no log of a device of the account, or None."""
    member = roster.members.get(opening.device)
    if member is None:
        return "its device is not on the roster"
    statement = _statement(space, log, opening.device, opening.name)
    if not signatures.verify(member.certificate.signing_key, statement, opening.signature, Label.LOG_OPEN):
        return "the device's signature on its log does not verify"
    return None


def _statement(space: SpaceId, log: LogId, device: DeviceId, name: str) -> bytes:
    return encode_plain([space, log, device, name])
