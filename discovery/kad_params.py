"""Every constant of Kademlia, with its unit and where it comes from.

Sources: "paper" is Maymounkov and Mazieres, "Kademlia" (IPTPS 2002); "S/Kademlia" is Baumgart and Mies (ICPADS 2007);
"spec" is libp2p/specs kad-dht; "go" is go-libp2p-kad-dht, whose defaults most networks run.
"""

from dataclasses import dataclass
from typing import Final

from latticework.wire import LocalError

KEY_BITS: Final = 256
"""A key is a SHA-256 digest read as a big-endian number (spec, "Distance")."""
MAX_ADDRESSES: Final = 16
"""Kept of one contact; as mDNS keeps of a peer."""
REFRESH_BITS: Final = 12
"""Buckets nearer than this are refreshed by looking up ourselves. go stops at 15 (`maxCplForRefresh`); 12 costs 40 ms
once for a process and covers k * 2**12 peers."""

_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US


@dataclass(frozen=True, slots=True)
class KadParams:
    """How a `KadMachine` behaves and what peers may cost it; raises LocalError if the values contradict each other."""

    k: int = 20
    """Contacts in a bucket, contacts in an answer, copies of a record (spec, "Replication parameter")."""
    alpha: int = 10
    """Requests in flight of one lookup. go `defaultConcurrency`; paper and spec: 3."""
    paths: int = 1
    """d of S/Kademlia part 4.4: disjoint paths of one lookup, which share `alpha`, with at least one request each."""
    request_timeout_us: int = 10 * _SECOND_US
    """spec, "Bootstrap process", `QueryTimeout`."""
    refresh_us: int = _HOUR_US
    """paper section 2.3; go does it every 10 minutes."""
    republish_us: int = 22 * _HOUR_US
    """go `DefaultReprovideInterval`; the paper's publisher comes again after 24 hours."""
    expiry_us: int = 48 * _HOUR_US
    """Life of a record that nobody stores again: go `MaxRecordAge`."""
    check_us: int = 60 * _SECOND_US
    """Pause between two pings of one full bucket; chosen here, so that a flood of newcomers makes no flood of pings."""
    replacements: int = 8
    """Kept for each bucket (paper section 4.1, which gives no number); chosen here."""
    max_misses: int = 5
    """Requests unanswered in a row before a contact without a replacement is dropped (paper section 4.1)."""
    max_per_network: int = 0
    """Contacts in one bucket from one public /16 of IPv4 or /32 of IPv6; 0 is no limit. go takes 2 in the open Internet
    (`maxPrefixCountPerCpl`); a mesh of one household would lose its own devices."""
    max_path_requests: int = 100
    """Requests of one path, so that invented contacts cannot keep a lookup alive; four times what a lookup needs
    (simnet report, V8: 22 to 23)."""
    max_operations: int = 64
    """Lookups of our caller's at one time; chosen here."""
    max_published: int = 1024
    """Records that we publish again and again; chosen here."""
    max_name_bytes: int = 256
    """Key of a record, or what a FindNode looks for, before hashing; chosen here: a namespace and a multihash."""
    max_value_bytes: int = 16 * 1024
    """One record; chosen here, above IPNS (10 KiB, the specification's limit)."""
    max_records: int = 1024
    """Records held for others: 16 MiB at most; chosen here."""
    max_records_per_peer: int = 64
    """Of them, brought by one peer; chosen here."""

    def __post_init__(self) -> None:
        counts = (self.k, self.alpha, self.paths, self.max_misses, self.max_path_requests, self.max_records_per_peer)
        spans = (self.request_timeout_us, self.refresh_us, self.republish_us, self.expiry_us)
        rules = (
            (min(counts) >= 1, "k, alpha, paths and what peers are allowed are at least 1"),
            (min(spans) >= 1, "no span of time is empty"),
            (self.paths <= self.k, "each path starts with a contact of its own: paths <= k"),
            (self.republish_us < self.expiry_us, "a record is published again before it expires"),
            (min(self.check_us, self.replacements, self.max_per_network) >= 0, "no bound is negative"),
        )
        for holds, rule in rules:
            if not holds:
                raise LocalError(f"Kademlia parameters: {rule}")

    @property
    def path_alpha(self) -> int:
        """Requests in flight of one path."""
        return max(1, self.alpha // self.paths)
