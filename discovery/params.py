"""Every constant of discovery, with its unit and where it comes from."""

from typing import Final

MDNS_SERVICE: Final = "_p2p._udp.local."
"""libp2p/specs discovery/mdns.md, "Service Name"."""
MDNS_KEY: Final = "dnsaddr="
"""The same, "TXT"; DNS-SD keys ignore case (RFC 6763 section 6.4)."""
MDNS_INSTANCE_BYTES: Final = 20
"""Entropy of our instance name: 32 base32 characters, the shortest that the specification allows."""
MDNS_MIN_INSTANCE_CHARS: Final = 32
MDNS_MAX_INSTANCE_CHARS: Final = 63
"""libp2p/specs discovery/mdns.md: a random string of 32 to 63 characters."""
MDNS_MAX_TXT_BYTES: Final = 4096
"""Read of one peer; half of the largest mDNS packet (RFC 6762 section 17)."""
MDNS_MAX_ADDRESSES: Final = 16
"""Announced by us, and taken from one peer; chosen here: eight interfaces with both IP versions."""
MDNS_MAX_PEERS: Final = 256
"""Peers remembered, and sightings waiting to be read; chosen here. A stranger can fill it, not grow it."""
MDNS_TTL_S: Final = 120
"""How long our records live without renewal; as host records have (RFC 6762 section 10)."""
MDNS_RETRY_S: Final = 30.0
"""Pause before mDNS is tried again where no interface took it; chosen here."""
MDNS_CLOSE_S: Final = 1.0
"""Bound of the goodbye (style 27); it takes 0.25 s, at most 0.7 s while an announcement is going out."""
