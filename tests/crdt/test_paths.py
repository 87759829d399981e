import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.crdt import conflict_path, path_refusal, shown_name
from latticework.crdt.hlc import HLC_MAX
from latticework.crdt.paths import ancestors

HLC = 1_800_000_000_000 << 16
COMPONENT = st.binary(min_size=1, max_size=255).filter(
    lambda c: b"/" not in c and b"\0" not in c and c not in {b".", b".."} and c.lower() != b".lattice"
)
PATH = st.lists(COMPONENT, min_size=1, max_size=3).map(b"/".join)
SALT = st.none() | st.binary(min_size=2, max_size=8)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("path", "device", "salt", "expected"),
    [
        (b"a.txt", "laptop", None, b"a (laptop, 2027-01-15 08-00-00).txt"),
        (b"a.txt", "laptop", b"\xab\xcd", b"a (laptop, 2027-01-15 08-00-00, abcd).txt"),
        (b"d/a.tar.gz", "laptop", None, b"d/a.tar (laptop, 2027-01-15 08-00-00).gz"),
        (b"README", "laptop", None, b"README (laptop, 2027-01-15 08-00-00)"),
        (b".bashrc", "laptop", None, b".bashrc (laptop, 2027-01-15 08-00-00)"),
        (b"d.x/a", "laptop", None, b"d.x/a (laptop, 2027-01-15 08-00-00)"),
        (b"a." + b"e" * 21, "laptop", None, b"a." + b"e" * 21 + b" (laptop, 2027-01-15 08-00-00)"),
        (b"a.", "laptop", None, b"a (laptop, 2027-01-15 08-00-00)."),
        (b"a", "../..\0/x), y", None, b"a (_..__x__ y, 2027-01-15 08-00-00)"),
        (b"a", "...", None, b"a (device, 2027-01-15 08-00-00)"),
        (b"a", "", None, b"a (device, 2027-01-15 08-00-00)"),
        (b"a", "Zo\u00eb's \U0001f4bb", None, "a (Zo\u00eb_s _, 2027-01-15 08-00-00)".encode()),
        (b"a", "x" * 64, None, b"a (" + b"x" * 40 + b", 2027-01-15 08-00-00)"),
    ],
)
def test_a_conflict_copy_is_named_by_device_and_time(
    path: bytes, device: str, salt: bytes | None, expected: bytes
) -> None:
    assert conflict_path(path, device, HLC, salt) == expected


@pytest.mark.property
@given(PATH, st.text(max_size=64), st.integers(0, HLC_MAX), SALT)
def test_a_conflict_name_is_a_legal_name_beside_the_original(
    path: bytes, device: str, hlc: int, salt: bytes | None
) -> None:
    named = conflict_path(path, device, hlc, salt)
    assert named == conflict_path(path, device, hlc, salt)
    assert named.rpartition(b"/")[0] == path.rpartition(b"/")[0]
    assert named != path
    assert len(named.rpartition(b"/")[2]) <= 255
    assert path_refusal(named) is None


@pytest.mark.unit
def test_long_names_that_differ_at_their_end_only_have_different_copies() -> None:
    names = {conflict_path(b"x" * 250 + b"%05d" % number, "n", HLC, None) for number in range(2000)}
    assert len(names) == 2000


@pytest.mark.unit
def test_the_copy_of_the_longest_path_can_be_written_too() -> None:
    path = b"d/" * 2045 + b"x" * 6
    assert path_refusal(path) is None
    assert path_refusal(conflict_path(path, "n", HLC, None)) is None


@pytest.mark.unit
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"plain name.txt", "plain name.txt"),
        ("Zo\u00eb/\u65e5\u672c".encode(), "Zo\u00eb/\u65e5\u672c"),
        (b"a\nb\x1b[31m\x7f", "a\\x0ab\\x1b[31m\\x7f"),
        ("\u202etxt.exe".encode(), "\\u202etxt.exe"),
        ("\u2066\u200b\ufeff".encode(), "\\u2066\\u200b\\ufeff"),
        (b"\xff\x80", "\\xff\\x80"),
        ("\u0085\u00ad".encode(), "\\u0085\\u00ad"),
        ("\U000e0001".encode(), "\\U000e0001"),
        ("\u2028\u00a0".encode(), "\\u2028\\u00a0"),
        (b"a\\x0ab", "a\\\\x0ab"),
    ],
)
def test_a_name_is_shown_without_anything_that_could_deceive(path: bytes, shown: str) -> None:
    assert shown_name(path) == shown


@pytest.mark.property
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_two_paths_are_never_shown_alike(one: bytes, two: bytes) -> None:
    assert (shown_name(one) == shown_name(two)) == (one == two)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"} for c in shown_name(one))
    shown_name(one).encode()


@pytest.mark.unit
def test_ancestors_are_the_directories_above_nearest_first() -> None:
    assert ancestors(b"a/b/c") == [b"a/b", b"a"]
    assert ancestors(b"a") == []
