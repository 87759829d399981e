"""A device that writes two histories: proven and contained on every honest device, whatever it tells whom."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import free_ports
from .devices import Device, contents, items, until
from .mesh import Mesh, assert_alike, assert_equal, convicted, document, forks, halt, in_step, launch, put
from .traitor import Twins

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
    one, two, _ = mesh.devices
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
    (proof,) = directory.glob("*.proof")
    (shown,) = items(await device.ask("forks"))
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
