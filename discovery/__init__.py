"""How peers hear of each other: mDNS on the local network, and configured addresses.

Everything heard here is a hint; who a peer is, only the handshake says.
"""

from .mdns import MdnsConfig, MdnsDiscovery, open_mdns
from .mdns_records import Heard, Ignored, IgnoreReason, announceable, build_txt, new_instance, parse_record
from .ports import Discovery, Sighting, Source
from .static import StaticDiscovery

__all__ = [
    "Discovery",
    "Heard",
    "IgnoreReason",
    "Ignored",
    "MdnsConfig",
    "MdnsDiscovery",
    "Sighting",
    "Source",
    "StaticDiscovery",
    "announceable",
    "build_txt",
    "new_instance",
    "open_mdns",
    "parse_record",
]
