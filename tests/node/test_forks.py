"""A device that writes two histories: proven and contained on every honest device, whatever it tells whom."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import free_ports
from .devices import Device, Item, Pair, contents, items, until
from .mesh import (
    Mesh,
    assert_alike,
    assert_equal,
    convicted,
    document,
    entries_in,
    forks,
    halt,
    in_step,
    launch,
    put,
)
from .traitor import SHAMELESS, SLANDEROUS, Twins, accuse, begin_anew, copy_of, say_checkpoint_as

pytestmark = pytest.mark.wire
HONEST = "three wrote this when it was honest"


async def shared(mesh: Mesh) -> None:
    """All three keep one space in step; the third has written into it."""
    await launch(*mesh.devices)
    await mesh.share()
    await put(mesh.devices[2], "notes", honest=HONEST)
    await in_step(*mesh.devices)


async def tell_apart(mesh: Mesh, twins: Twins) -> None:
    """Each honest device meets one twin, alone, and takes its branch; then both are without twins."""
    one, two, *_ = mesh.devices
    for honest, twin in ((one, twins.left), (two, twins.right)):
        await launch(honest, twin)
        await put(twin, "notes", place=twin.name, **{twin.name: "a branch"})
        (twin.folder / f"from {twin.name}").write_text(f"content of {twin.name}")
        await in_step(honest, twin)
        await halt(twin, honest)


async def test_two_branches_told_to_two_devices_convict_the_log_and_are_contained_on_both(
    mesh: Mesh, tmp_path: Path
) -> None:
    one, two, three = mesh.devices
    await shared(mesh)
    await halt(*mesh.devices)
    twins = Twins.of(three, *free_ports(1))
    mesh.devices.append(twins.right)
    await tell_apart(mesh, twins)
    await launch(one, two)
    await convicted(one, two)
    await in_step(one, two)
    await assert_alike(one, two, documents=["notes"])
    # Each has stored one branch. What either writes names it, so that the other fetches it.
    for device in (one, two):
        await put(device, "after", **{device.name: 1})
    await in_step(one, two)
    await assert_equal(one, two, documents=["notes", "after"])
    (fork,) = await forks(one)
    assert (fork["kind"], fork["name"], fork["settled"]) == ("fork", "three", None)
    assert int(str(fork["void"])) >= 6, "two documents and a file on either branch"
    assert await document(one, "notes") == {"honest": HONEST}
    assert await document(one, "after") == {"one": 1, "two": 1}
    assert {b"content of three", b"content of three-twin"} <= contents(one.folder), "voided files are kept as copies"
    await export_and_verify(one, tmp_path / "evidence")

    # The twins come back, and still take no proof.
    await launch(twins.left)
    await put(twins.left, "notes", later="a third writing")
    await told(twins.left, one, two)
    await assert_equal(one, two, documents=["notes", "after"])
    assert await document(two, "notes") == {"honest": HONEST}
    assert len(await forks(two)) == 1


async def export_and_verify(device: Device, directory: Path) -> None:
    """What `lattice forks --export` writes is accepted by a program that has nothing of ours."""
    exported = await device.lattice("forks", "--export", str(directory))
    assert exported.returncode == 0, exported.stderr
    (shown,) = items(await device.ask("forks"))
    verify(directory, shown)


def verify(directory: Path, shown: Item) -> None:
    (proof,) = directory.glob("*.proof")
    assert proof.read_bytes().hex() == shown["proof"]
    verifier = Path(__file__).parents[2] / "examples" / "verify_fraud_proof.py"
    command = [sys.executable, str(verifier), str(shown["space_id"]), str(proof)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert str(shown["log"]) in verified.stdout
    proof.write_bytes(proof.read_bytes()[:-1] + b"?")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


async def told(liar: Device, *honest: Device) -> None:
    """Wait until `liar` is connected to all of them and they have refused entries of it."""

    async def refused() -> bool | None:
        folders = [await device.folder_status() for device in honest]
        return all(folder["refused_entries"] for folder in folders) or None

    await put(liar, "notes", again="and again")
    await until(refused, "the convicted log's entries to be refused")


MANY = {f"k{number}": number for number in range(40)}


async def fork_from_the_first(twin: Device, *honest: Device) -> None:
    """Have `twin` begin the log anew, alone, before the honest devices hear of it."""
    begin_anew(twin)
    await launch(twin)
    await put(twin, "notes", other="beginning")
    for device in honest:
        device.options += ["--peer", twin.address]
    await launch(*honest)
    for device in honest:
        await until(lambda device=device: convicted_from_the_first(device), f"{device.name} to convict")
    await halt(twin)


async def convicted_from_the_first(device: Device) -> bool | None:
    return [fork["seq"] for fork in await forks(device)] == [0] or None


@pytest.mark.long
async def test_what_most_devices_named_in_checkpoints_stays_though_the_log_is_forked_from_its_first_entry(
    mesh: Mesh,
) -> None:
    one, two, three = mesh.devices
    await shared(mesh)
    await put(three, "notes", **MANY)
    (three.folder / "settled").write_text("named by one and two")
    await in_step(*mesh.devices)
    await halt(*mesh.devices)
    for device in (one, two):
        say_checkpoint_as(device)
    await launch(one, two)
    await in_step(one, two)
    await halt(one, two)
    twins = Twins.of(three, *free_ports(1))
    mesh.devices.append(twins.right)
    # First a fork high up, then one at the first entry: one proof is kept, that of the lower number.
    await tell_apart(mesh, twins)
    await launch(one, two)
    await convicted(one, two)
    await in_step(one, two)
    (late,) = await forks(one)
    await halt(one, two)
    await fork_from_the_first(twins.right, one, two)
    for device in (one, two):
        await put(device, "after", **{device.name: 1})
    await in_step(one, two)
    await assert_equal(one, two, documents=["notes", "after"])
    (fork,) = await forks(one)
    assert int(str(late["seq"])) > len(MANY)
    assert fork["seq"] == 0
    assert fork["settled"] is not None
    assert await document(two, "notes") == {"honest": HONEST, **MANY}
    assert (two.folder / "settled").read_text() == "named by one and two"


@pytest.mark.long
@pytest.mark.parametrize("settled", [True, False])
async def test_of_two_devices_the_other_one_settles(running: Pair, settled: bool) -> None:  # noqa: FBT001
    one, two = running.both
    await put(two, "notes", **MANY)
    (two.folder / "file").write_text("content")
    await in_step(one, two)
    await halt(one, two)
    if settled:
        say_checkpoint_as(one)
    twins = Twins.of(two, *free_ports(1))
    try:
        await fork_from_the_first(twins.right, one)
        (fork,) = await forks(one)
        assert (fork["settled"] is not None) == settled
        assert await document(one, "notes") == (MANY if settled else {})
        assert b"content" in contents(one.folder)
        assert (one.folder / "file").exists() == settled
    finally:
        if twins.right.alive:
            twins.right.kill()


@pytest.mark.long
@pytest.mark.parametrize("settled", [True, False])
async def test_of_one_device_its_own_checkpoints_settle(tmp_path: Path, settled: bool) -> None:  # noqa: FBT001
    (port,) = free_ports(1)
    one = Device("one", tmp_path / "one", port)
    one.base.mkdir()
    one.folder.mkdir()
    one.init()
    try:
        await launch(one)
        await one.ask("folder add", path=str(one.folder), name="shared")
        await put(one, "notes", **MANY)
        await halt(one)
        if settled:
            say_checkpoint_as(one)
        twin = copy_of(one, "twin", *free_ports(1))
        begin_anew(twin)
        await launch(twin)
        await put(twin, "notes", other="beginning")
        await halt(twin)
        accuse(one, twin)
        await launch(one)
        await convicted(one)
        (fork,) = await forks(one)
        assert (fork["seq"], fork["settled"] is not None) == (0, settled)
        assert await document(one, "notes") == (MANY if settled else {})
        await put(one, "notes", new="log")
        assert (await document(one, "notes"))["new"] == "log"
        await halt(one)
    finally:
        if one.alive:
            one.kill()


async def test_two_checkpoints_under_one_number_convict_and_the_proof_goes_before_the_entries(mesh: Mesh) -> None:
    one, two, three = mesh.devices
    await shared(mesh)
    await halt(*mesh.devices)
    three.wrapper = SHAMELESS
    say_checkpoint_as(three, twice=True)
    await launch(one, three)
    await convicted(one)
    (fork,) = await forks(one)
    assert fork["kind"] == "checkpoint"
    await halt(three)
    # Two was away. It hears the proof from one, and never asks for what it convicts.
    await launch(two)
    await convicted(two)
    await in_step(one, two)
    await assert_alike(one, two, documents=["notes"])
    assert await document(two, "notes") == {"honest": HONEST}
    log, seq = bytes.fromhex(str(fork["log"])), int(str(fork["seq"]))
    assert not [entry for entry in entries_in(two.database) if entry[0] == log and entry[1] >= seq]


@pytest.mark.long
async def test_a_convicted_device_delivers_the_proof_against_itself_and_goes_on(mesh: Mesh) -> None:
    one, two, three = mesh.devices
    await shared(mesh)
    await halt(*mesh.devices)
    twins = Twins.of(three, *free_ports(1))
    mesh.devices.append(twins.right)
    for twin in (twins.left, twins.right):
        await launch(one, twin)
        await put(twin, "notes", place=twin.name)
        await until(lambda twin=twin: sees(one, twin), f"one to hear from {twin.name}")
        await halt(one, twin)
    three.wrapper = []
    await launch(one, three)
    await convicted(one, three)
    await halt(one)
    await launch(two)
    await convicted(two)
    await put(three, "notes", again="in another log")
    await in_step(two, three)
    assert await document(two, "notes") == {"honest": HONEST, "again": "in another log"}


async def sees(device: Device, other: Device) -> bool | None:
    """True once `device` shows what `other` wrote, or knows that its log is forked."""
    return (await document(device, "notes")).get("place") == other.name or bool(await forks(device)) or None


async def test_accusations_that_prove_nothing_end_the_connection_of_who_makes_them(mesh: Mesh) -> None:
    one, two, three = mesh.devices
    await shared(mesh)
    await put(one, "notes", one=1)
    await in_step(*mesh.devices)
    await halt(three)
    three.wrapper = SLANDEROUS
    await launch(three)
    for device in (one, two):
        await until(lambda device=device: refused_by(device), f"{device.name} to hang up")
        assert not await forks(device)
    await put(two, "notes", two=2)
    await in_step(one, two)
    assert await document(one, "notes") == {"honest": HONEST, "one": 1, "two": 2}


async def refused_by(device: Device) -> bool | None:
    return "signature of the proof does not verify" in device.log or None
