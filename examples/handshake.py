"""Two devices of one account run `/lattice/pqx/1` without a network: four messages, then one sealed record."""

import secrets
import time

from latticework.crdt import Roster
from latticework.handshake import (
    DeviceKeys,
    MlKem1024,
    PqxChannel,
    Subject,
    accept_introduction,
    found_account,
    generate,
    introduce,
    load_keys,
)
from latticework.transport import Established, SendMessage
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

KEM, SIGNATURES = MlKem1024(), CompositeSignatures()
NOW_S = time.time_ns() // 10**9
NOW_US = NOW_S * 10**6


class Rng:
    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def channel(keys: DeviceKeys, certificate: bytes) -> PqxChannel:
    known = {member.signed: member for member in roster.members.values()}
    transport = Ed25519Signer(secrets.token_bytes(32))
    return PqxChannel(keys, certificate, transport, Rng(), KEM, SIGNATURES, lambda c: known.get(c, "unknown"))


laptop, desktop = (load_keys(generate(Rng(), NOW_S), KEM, SIGNATURES) for _ in range(2))
first = found_account(laptop, "laptop", NOW_S)
roster = Roster.found(SIGNATURES, first)
subject = Subject(desktop.signer.public, desktop.exchange.public, "desktop")
second = accept_introduction(desktop, introduce(laptop, roster.account, subject, roster.heads(), NOW_S))
assert roster.add(second) is None

machines = [channel(laptop, first).initiate(desktop.device), channel(desktop, second).respond()]
actions, turn, ends = machines[0].start(), 0, {}
while actions:
    message = b""
    for action in actions:
        match action:
            case SendMessage(message):
                print(f"flight of {len(message):5} bytes from {('laptop', 'desktop')[turn]}")
            case Established() as end:
                ends[turn] = end
    turn = 1 - turn
    actions = machines[turn].handle(message, NOW_US) if message else []

sealed, opened = memoryview(bytearray(256)), memoryview(bytearray(256))
size = ends[0].records.seal_into(b"milk, bread", sealed, NOW_US)
assert opened[: ends[1].records.open_into(sealed[:size], opened)] == b"milk, bread"
print(ends[0].algorithms.kem)
