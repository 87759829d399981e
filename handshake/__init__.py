"""Who a device is and how two devices agree on keys: identities, `/lattice/pqx/1`, records, pairing, the key vault."""

from .anonymous import AnonymousChannel
from .certificates import Introduction, Subject, accept_introduction, found_account, introduce
from .kem import MlKem1024
from .keys import DeviceKeys, DeviceSeeds, decode_seeds, encode_seeds, generate, load_keys, rotate
from .pairing import (
    AddCertificate,
    AskConfirmation,
    Confirmed,
    ConnectionLost,
    Paired,
    PairingAction,
    PairingEvent,
    PairingFailed,
    Received,
    Send,
    SetTimer,
    TimerFired,
)
from .pairing_code import PairingCode, QrCode, TypedCode, parse_qr, parse_typed
from .pairing_failures import Failure
from .pairing_joiner import JoinerPairing, JoiningDevice
from .pairing_keys import channel_binding
from .pairing_offers import Offers
from .pairing_sponsor import SponsorPairing
from .params import ANONYMOUS_PROTOCOL, PQX_PROTOCOL
from .ports import Authorize, KeyVault, TransportSigner
from .pqx import ExpectingChannel, PqxChannel
from .records import AesGcmRecords, RecordKeys, RekeyLimits
from .vault import (
    BadPassphraseError,
    Cost,
    MemoryVault,
    PassphraseNeededError,
    SealedFileVault,
    VaultDamagedError,
)

__all__ = [
    "ANONYMOUS_PROTOCOL",
    "PQX_PROTOCOL",
    "AddCertificate",
    "AesGcmRecords",
    "AnonymousChannel",
    "AskConfirmation",
    "Authorize",
    "BadPassphraseError",
    "Confirmed",
    "ConnectionLost",
    "Cost",
    "DeviceKeys",
    "DeviceSeeds",
    "ExpectingChannel",
    "Failure",
    "Introduction",
    "JoinerPairing",
    "JoiningDevice",
    "KeyVault",
    "MemoryVault",
    "MlKem1024",
    "Offers",
    "Paired",
    "PairingAction",
    "PairingCode",
    "PairingEvent",
    "PairingFailed",
    "PassphraseNeededError",
    "PqxChannel",
    "QrCode",
    "Received",
    "RecordKeys",
    "RekeyLimits",
    "SealedFileVault",
    "Send",
    "SetTimer",
    "SponsorPairing",
    "Subject",
    "TimerFired",
    "TransportSigner",
    "TypedCode",
    "VaultDamagedError",
    "accept_introduction",
    "channel_binding",
    "decode_seeds",
    "encode_seeds",
    "found_account",
    "generate",
    "introduce",
    "load_keys",
    "parse_qr",
    "parse_typed",
    "rotate",
]
