import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.discovery import Heard, Ignored, IgnoreReason, announceable, build_txt, new_instance, parse_record
from latticework.transport import Multiaddr, PeerId

PEER = PeerId.of_key(bytes(range(32)))
OTHER = PeerId.of_key(bytes(32))
INSTANCE = "a" * 32 + "._p2p._udp.local."
LAN = Multiaddr.parse("/ip4/192.168.1.7/tcp/4001")
ULA = Multiaddr.parse("/ip6/fd00::1/tcp/4001")

unit = pytest.mark.unit


class FixedRng:
    def random_bytes(self, count: int) -> bytes:
        return bytes(range(count))


def txt(*strings: str | bytes) -> bytes:
    raw = [string.encode() if isinstance(string, str) else string for string in strings]
    return b"".join(bytes([len(string)]) + string for string in raw)


@unit
def test_what_is_built_is_read_back_with_every_address() -> None:
    data = build_txt(PEER, (LAN, ULA))
    assert data == txt(f"dnsaddr={LAN}/p2p/{PEER}", f"dnsaddr={ULA}/p2p/{PEER}")
    assert parse_record(INSTANCE, data, loopback=False) == Heard(PEER, (LAN, ULA))


@unit
def test_the_instance_name_is_random_and_carries_no_identity() -> None:
    name = new_instance(FixedRng())
    label, _, service = name.partition(".")
    assert (len(label), service) == (32, "_p2p._udp.local.")
    assert label.isalnum()
    assert label == label.lower()
    assert str(PEER).lower() not in name


@unit
def test_only_addresses_that_others_can_dial_are_announced() -> None:
    texts = [
        "/ip4/0.0.0.0/tcp/4001",
        "/ip6/::/tcp/4001",
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/4001",
        "/ip6/fe80::1/tcp/4001",
        "/ip6/::ffff:0.0.0.0/tcp/4001",
        "/ip6/::ffff:127.0.0.1/tcp/4001",
        "/ip4/224.0.0.251/tcp/4001",
        "/ip4/255.255.255.255/tcp/4001",
        "/ip4/192.168.1.7/tcp/0",
        "/ip4/192.168.1.7/udp/4001",
        "/dns/example.org/tcp/4001",
        "/memory/7",
        str(LAN),
        f"{LAN}/p2p/{PEER}",
        str(ULA),
    ]
    addresses = [Multiaddr.parse(text) for text in texts]
    assert announceable(addresses, loopback=False) == (LAN, ULA)
    asked = {str(address) for address in announceable(addresses, loopback=True)}
    assert asked == {
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/4001",
        "/ip6/::ffff:127.0.0.1/tcp/4001",
        str(LAN),
        str(ULA),
    }


@unit
def test_at_most_sixteen_addresses_are_announced_and_believed() -> None:
    many = [Multiaddr.tcp("10.0.0.1", port) for port in range(1, 40)]
    assert len(announceable(many, loopback=False)) == 16
    data = txt(*(f"dnsaddr={address}/p2p/{PEER}" for address in many))
    heard = parse_record(INSTANCE, data, loopback=False)
    assert isinstance(heard, Heard)
    assert heard.addresses == tuple(many[:16])


GOOD = f"dnsaddr={LAN}/p2p/{PEER}"


@unit
@pytest.mark.parametrize(
    ("instance", "data", "reason"),
    [
        ("short._p2p._udp.local.", txt(GOOD), IgnoreReason.BAD_INSTANCE),
        ("a" * 64 + "._p2p._udp.local.", txt(GOOD), IgnoreReason.BAD_INSTANCE),
        ("a" * 32 + "._http._tcp.local.", txt(GOOD), IgnoreReason.BAD_INSTANCE),
        ("a" * 31 + "\n._p2p._udp.local.", txt(GOOD), IgnoreReason.BAD_INSTANCE),
        ("ä" * 32 + "._p2p._udp.local.", txt(GOOD), IgnoreReason.BAD_INSTANCE),
        ("", b"", IgnoreReason.BAD_INSTANCE),
        (INSTANCE, txt(GOOD) * 64, IgnoreReason.TOO_LONG),
        (INSTANCE, txt(GOOD)[:-1], IgnoreReason.BROKEN_TXT),
        (INSTANCE, txt(GOOD) + b"\xff", IgnoreReason.BROKEN_TXT),
        (INSTANCE, txt(GOOD, f"dnsaddr={ULA}/p2p/{OTHER}"), IgnoreReason.MIXED_PEERS),
        (INSTANCE, b"", IgnoreReason.NO_ADDRESS),
        (INSTANCE, b"\x00", IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt("dnsaddr"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt("dnsaddr="), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt(f"dnsaddr2={LAN}/p2p/{PEER}"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt(f"dnsaddr={LAN}"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt(b"dnsaddr=\xff\xfe"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt(f"dnsaddr=/ip4/0.0.0.0/tcp/1/p2p/{PEER}"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt(f"dnsaddr=/ip4/127.0.0.1/tcp/1/p2p/{PEER}"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt(f"dnsaddr=/ip4/10.0.0.1/udp/1/quic-v1/p2p/{PEER}"), IgnoreReason.NO_ADDRESS),
        (INSTANCE, txt("dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/notapeer"), IgnoreReason.NO_ADDRESS),
    ],
)
def test_a_hostile_record_is_ignored_with_its_reason(instance: str, data: bytes, reason: IgnoreReason) -> None:
    assert parse_record(instance, data, loopback=False) == Ignored(reason)


@unit
def test_strings_that_mean_nothing_to_us_are_skipped() -> None:
    data = txt(
        "version=1", b"\xff\xff", f"dnsaddr=/ip4/10.0.0.1/udp/1/quic-v1/p2p/{PEER}", f"DNSADDR={LAN}/p2p/{PEER}", ""
    )
    assert parse_record(INSTANCE.upper(), data, loopback=False) == Heard(PEER, (LAN,))


@pytest.mark.property
@given(st.text(max_size=80), st.binary(max_size=5_000))
def test_no_bytes_and_no_name_raise(instance: str, data: bytes) -> None:
    assert isinstance(parse_record(instance, data, loopback=False), Ignored)
    assert isinstance(parse_record(INSTANCE, data, loopback=True), Ignored)


@pytest.mark.property
@given(st.lists(st.one_of(st.binary(max_size=255), st.text(max_size=60).map(lambda text: f"dnsaddr={text}".encode()))))
def test_whole_strings_of_noise_beside_a_good_address_do_not_raise(noise: list[bytes]) -> None:
    data = txt(GOOD, *(string[:255] for string in noise))
    record = parse_record(INSTANCE, data, loopback=False)
    assert record == Heard(PEER, (LAN,)) or isinstance(record, Ignored)


@pytest.mark.property
@given(st.lists(st.tuples(st.ip_addresses(), st.integers(0, 65_535)), max_size=20), st.booleans())
def test_announced_addresses_are_always_believed(places: list[tuple[object, int]], loopback: bool) -> None:  # noqa: FBT001
    addresses = announceable([Multiaddr.tcp(str(host), port) for host, port in places], loopback=loopback)
    record = parse_record(INSTANCE, build_txt(PEER, addresses), loopback=loopback)
    assert record == (Heard(PEER, addresses) if addresses else Ignored(IgnoreReason.NO_ADDRESS))
