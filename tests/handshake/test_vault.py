"""The key vault: what comes back, and what every kind of trouble is called."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latticework.handshake import (
    BadPassphraseError,
    Cost,
    KeyVault,
    MemoryVault,
    PassphraseNeededError,
    SealedFileVault,
    VaultDamagedError,
)
from latticework.handshake.vault import DEFAULT_COST, SealedVault, VaultFile, checksum_of
from latticework.simnet.rng import KeyedRng
from latticework.wire import LocalError, StoreError, decode, encode

pytestmark = pytest.mark.unit

CHEAP = Cost(iterations=3, memory_kib=64 << 10, lanes=4)
SECRET = b"the seeds of a device"


def vault(path: Path, passphrase: str | None = "correct horse") -> SealedFileVault:
    return SealedFileVault(path / "keys" / "vault", KeyedRng(b"vault"), passphrase, CHEAP)


def file_of(path: Path) -> Path:
    return path / "keys" / "vault"


@pytest.mark.parametrize("passphrase", [None, "correct horse", "", "pässword"])
def test_what_is_saved_is_loaded(tmp_path: Path, passphrase: str | None) -> None:
    assert vault(tmp_path, passphrase).load() is None
    vault(tmp_path, passphrase).save(SECRET)
    assert vault(tmp_path, passphrase).load() == SECRET


def test_saving_again_replaces(tmp_path: Path) -> None:
    for data in (SECRET, b"newer"):
        vault(tmp_path, None).save(data)
    assert vault(tmp_path, None).load() == b"newer"
    assert [entry.name for entry in file_of(tmp_path).parent.iterdir()] == ["vault"]


def test_a_half_written_file_of_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    vault(tmp_path, None).save(SECRET)
    file_of(tmp_path).with_name(".vault.new").write_bytes(b"half")
    assert vault(tmp_path, None).load() == SECRET
    vault(tmp_path, None).save(b"newer")
    assert vault(tmp_path, None).load() == b"newer"


def test_the_memory_vault_keeps_what_it_is_given() -> None:
    memory: KeyVault = MemoryVault()
    assert memory.load() is None
    memory.save(SECRET)
    assert memory.load() == SECRET


def test_file_and_directory_are_the_owners_alone(tmp_path: Path) -> None:
    vault(tmp_path).save(SECRET)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert SECRET not in file_of(tmp_path).read_bytes()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700])
@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_wider_mode_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, mode: int, passphrase: str | None
) -> None:
    vault(tmp_path, passphrase).save(SECRET)
    file_of(tmp_path).chmod(mode)
    with pytest.raises(StoreError, match=f"chmod 600 {file_of(tmp_path)}"):
        vault(tmp_path, passphrase).load()


def test_an_open_directory_is_refused(tmp_path: Path) -> None:
    vault(tmp_path, None).save(SECRET)
    file_of(tmp_path).parent.chmod(0o755)
    with pytest.raises(StoreError, match="chmod 700"):
        vault(tmp_path, None).load()
    with pytest.raises(StoreError, match="chmod 700"):
        vault(tmp_path, None).save(SECRET)


def test_symbolic_links_and_directories_are_refused(tmp_path: Path) -> None:
    vault(tmp_path, None).save(SECRET)
    link = file_of(tmp_path).with_name("link")
    link.symlink_to(file_of(tmp_path))
    with pytest.raises(StoreError, match="cannot open"):
        SealedFileVault(link, KeyedRng(b"x"), None).load()
    with pytest.raises(StoreError, match="not a file"):
        SealedFileVault(file_of(tmp_path).parent, KeyedRng(b"x"), None).load()


def test_a_wrong_passphrase_is_told_from_everything_else(tmp_path: Path) -> None:
    vault(tmp_path).save(SECRET)
    with pytest.raises(BadPassphraseError):
        vault(tmp_path, "wrong horse").load()


def test_a_missing_and_a_needless_passphrase_are_told(tmp_path: Path) -> None:
    vault(tmp_path).save(SECRET)
    with pytest.raises(PassphraseNeededError):
        vault(tmp_path, None).load()
    vault(tmp_path, None).save(SECRET)
    with pytest.raises(LocalError, match="has no passphrase"):
        vault(tmp_path).load()


def test_a_passphrase_typed_in_another_unicode_form_is_the_same(tmp_path: Path) -> None:
    vault(tmp_path, "p\u00e4ss").save(SECRET)
    assert vault(tmp_path, "pa\u0308ss").load() == SECRET


def test_two_saves_share_no_bytes_of_ciphertext(tmp_path: Path) -> None:
    one = SealedFileVault(file_of(tmp_path), KeyedRng(b"vault"), "x", CHEAP)
    one.save(SECRET)
    first = file_of(tmp_path).read_bytes()
    one.save(SECRET)
    assert file_of(tmp_path).read_bytes() != first


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_every_truncation_is_damage(tmp_path: Path, passphrase: str | None) -> None:
    vault(tmp_path, passphrase).save(SECRET)
    whole = file_of(tmp_path).read_bytes()
    for size in range(len(whole)):
        file_of(tmp_path).write_bytes(whole[:size])
        with pytest.raises(VaultDamagedError):
            vault(tmp_path, passphrase).load()


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_every_flipped_byte_is_damage(tmp_path: Path, passphrase: str | None) -> None:
    vault(tmp_path, passphrase).save(SECRET)
    whole = file_of(tmp_path).read_bytes()
    for position in range(len(whole)):
        file_of(tmp_path).write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(VaultDamagedError):
            vault(tmp_path, passphrase).load()


def tamper(path: Path, **changes: int | bytes) -> None:
    """Change fields and mend the checksum, as an attacker would."""
    body = decode(SealedVault, decode(VaultFile, file_of(path).read_bytes(), 1 << 20).body, 1 << 20)
    for name, value in changes.items():
        object.__setattr__(body, name, value)
    raw = encode(body)
    file_of(path).write_bytes(encode(VaultFile(raw, checksum_of(raw))))


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 2},
        {"iterations": 17},
        {"iterations": 1 << 60},
        {"memory_kib": (64 << 10) - 1},
        {"memory_kib": (1 << 20) + 1},
        {"lanes": 0},
        {"lanes": 17},
    ],
)
def test_parameters_out_of_bounds_are_refused_before_they_cost_anything(
    tmp_path: Path, changes: dict[str, int]
) -> None:
    vault(tmp_path).save(SECRET)
    tamper(tmp_path, **changes)
    with pytest.raises(StoreError, match="asks for") as caught:
        vault(tmp_path).load()
    assert not isinstance(caught.value, VaultDamagedError)


def test_weak_parameters_are_not_even_saved(tmp_path: Path) -> None:
    weak = SealedFileVault(file_of(tmp_path), KeyedRng(b"x"), "x", Cost(1, 8, 1))
    with pytest.raises(StoreError, match="asks for"):
        weak.save(SECRET)


def test_other_parameters_give_another_key(tmp_path: Path) -> None:
    vault(tmp_path).save(SECRET)
    tamper(tmp_path, iterations=4)
    with pytest.raises(BadPassphraseError):
        vault(tmp_path).load()


@pytest.mark.parametrize("changes", [{"nonce": bytes(24)}, {"sealed": bytes(40)}, {"sealed": b""}])
def test_tampering_behind_a_mended_checksum_is_damage(tmp_path: Path, changes: dict[str, bytes]) -> None:
    vault(tmp_path).save(SECRET)
    tamper(tmp_path, **changes)
    with pytest.raises(VaultDamagedError, match=r"tampered|corrupted"):
        vault(tmp_path).load()


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    vault(tmp_path, None).save(SECRET)
    file_of(tmp_path).write_bytes(bytes(1 << 17))
    with pytest.raises(VaultDamagedError, match="too large"):
        vault(tmp_path, None).load()


def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="cannot write"):
        vault(tmp_path, None).save(SECRET)


def test_the_default_cost_is_within_bounds() -> None:
    DEFAULT_COST.check()
    assert (DEFAULT_COST.iterations, DEFAULT_COST.memory_kib) == (3, 256 << 10)


def test_representations_hide_secrets(tmp_path: Path) -> None:
    assert "horse" not in repr(vault(tmp_path))
    assert "seeds" not in repr(MemoryVault(SECRET))


@pytest.mark.property
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_file_is_damage_and_nothing_else(tmp_path: Path, data: bytes) -> None:
    vault(tmp_path, None).save(SECRET)
    file_of(tmp_path).write_bytes(data)
    with pytest.raises(VaultDamagedError):
        vault(tmp_path, None).load()
