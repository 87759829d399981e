"""How peers hear of each other: mDNS on the local network, configured addresses, and Kademlia beyond.

Everything heard here is a hint; who a peer is, only the handshake says.
"""

from .kad_contact import Contact, key_of
from .kad_events import Found, Got, KadReason, Placed
from .kad_lookup import Lookup
from .kad_machine import KadMachine
from .kad_params import KadParams
from .kad_records import RecordStore, Validator, Validators, Verdict
from .kad_table import RoutingTable
from .mdns import MdnsConfig, MdnsDiscovery, open_mdns
from .mdns_records import Heard, Ignored, IgnoreReason, announceable, build_txt, new_instance, parse_record
from .ports import Discovery, Sighting, Source
from .static import StaticDiscovery

__all__ = [
    "Contact",
    "Discovery",
    "Found",
    "Got",
    "Heard",
    "IgnoreReason",
    "Ignored",
    "KadMachine",
    "KadParams",
    "KadReason",
    "Lookup",
    "MdnsConfig",
    "MdnsDiscovery",
    "Placed",
    "RecordStore",
    "RoutingTable",
    "Sighting",
    "Source",
    "StaticDiscovery",
    "Validator",
    "Validators",
    "Verdict",
    "announceable",
    "build_txt",
    "key_of",
    "new_instance",
    "open_mdns",
    "parse_record",
]
