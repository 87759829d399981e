import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport import Multiaddr, PeerId
from latticework.wire import MalformedError

PEER = PeerId.of_key(bytes(range(32)))

GOOD = [
    ("/ip4/127.0.0.1/tcp/4001", "047f000001060fa1"),
    ("/ip4/1.2.3.4/udp/0", "040102030491020000"),
    ("/ip6/::1/tcp/80", "29" + "00" * 15 + "01" + "060050"),
    ("/dns/example.org/tcp/443", "350b" + b"example.org".hex() + "0601bb"),
    ("/dns4/a/tcp/1", "360161060001"),
    ("/dns6/a/tcp/1", "370161060001"),
    ("/memory/7", "8906" + "0000000000000007"),
    (f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}", "0401020304060001" + "a50326" + PEER.multihash.hex()),
]


@pytest.mark.unit
@pytest.mark.parametrize(("text", "raw"), GOOD)
def test_text_and_bytes_say_the_same(text: str, raw: str) -> None:
    address = Multiaddr.parse(text)
    assert str(address) == text
    assert address.to_bytes().hex() == raw
    assert Multiaddr.from_bytes(bytes.fromhex(raw)) == address


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "ip4/1.2.3.4/tcp/1",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/tcp",
        "/ip4/1.2.3.4/tcp/",
        "/ip4/1.2.3.4/tcp/65536",
        "/ip4/1.2.3.4/tcp/-1",
        "/ip4/1.2.3.4/tcp/+1",
        "/ip4/1.2.3.4/tcp/٣",
        "/ip4/1.2.3.4/tcp/1/",
        "/ip4/1.2.3.4/tcp/1/tcp/2",
        "/ip4/1.2.3.4/tcp/1/ws",
        "/ip4/1.2.3/tcp/1",
        "/ip4/01.2.3.4/tcp/1",
        "/ip4/::1/tcp/1",
        "/ip6/1.2.3.4/tcp/1",
        "/ip6/fe80::1%eth0/tcp/1",
        "/dns/-a/tcp/1",
        "/dns/a..b/tcp/1",
        "/dns/" + "a" * 254 + "/tcp/1",
        "/dns/ex ample/tcp/1",
        "/memory/-1",
        "/memory/18446744073709551616",
        "/memory/1/tcp/1",
        "/p2p/12D3KooW",
        f"/p2p/{PEER}",
        f"/p2p/{PEER}/ip4/1.2.3.4/tcp/1",
        "/quic/1",
        "/ip4/1.2.3.4/tcp/" + "1" * 600,
    ],
)
def test_text_that_cannot_be_dialled_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Multiaddr.parse(text)


@pytest.mark.unit
@pytest.mark.parametrize("raw", [raw for _, raw in GOOD])
def test_truncated_bytes_are_refused(raw: str) -> None:
    data = bytes.fromhex(raw)
    whole = {bytes.fromhex(other) for _, other in GOOD}
    for cut in range(len(data)):
        if data[:cut] not in whole and data[:cut] != bytes.fromhex("0401020304060001"):
            with pytest.raises(MalformedError):
                Multiaddr.from_bytes(data[:cut])


@pytest.mark.property
@given(st.binary(max_size=80))
def test_random_bytes_are_an_address_or_malformed(data: bytes) -> None:
    try:
        address = Multiaddr.from_bytes(data)
    except MalformedError:
        return
    assert Multiaddr.parse(str(address)) == address


@pytest.mark.property
@given(st.text(max_size=80) | st.text("/ip46tcpdns0123.:", max_size=40).map("/ip4/1.2.3.4".__add__))
def test_random_text_is_an_address_or_malformed(text: str) -> None:
    try:
        address = Multiaddr.parse(text)
    except MalformedError:
        return
    assert Multiaddr.from_bytes(address.to_bytes()) == address


@pytest.mark.unit
def test_addresses_know_their_parts() -> None:
    address = Multiaddr.tcp("2001:DB8::1", 4001)
    assert (address.transport, address.host, address.port, address.peer_id) == ("tcp", "2001:db8::1", 4001, None)
    named = address.with_peer(PEER)
    assert named.peer_id == PEER
    assert named.with_peer(None) == address
    assert Multiaddr.tcp("Example.org", 1).host == "example.org"
    assert (Multiaddr.memory(3).transport, Multiaddr.memory(3).port) == ("memory", 0)
