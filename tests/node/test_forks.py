"""A device that writes two histories: proven and contained on every honest device, whatever it tells whom."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from .conftest import free_ports
from .devices import Device, Item, items, until
from .mesh import Mesh, assert_equal, convicted, document, forks, halt, in_step, launch, put
from .traitor import Twins

pytestmark = pytest.mark.wire


async def shared(mesh: Mesh) -> None:
    """All three keep one space in step; the third has written into it."""
    await launch(*mesh.devices)
    await mesh.share()
    await put(mesh.devices[2], "notes", honest="three wrote this when it was honest")
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


async def test_two_branches_told_to_two_devices_convict_the_log_and_are_contained_on_both(mesh: Mesh) -> None:
    one, two, three = mesh.devices
    await shared(mesh)
    await halt(*mesh.devices)
    twins = Twins.of(three, *free_ports(1))
    await tell_apart(mesh, twins)
    await launch(one, two)
    await convicted(one, two)
    await in_step(one, two)
    await assert_equal(one, two, documents=["notes"])
    (fork,) = await forks(one)
    assert fork["kind"] == "fork"
    assert fork["name"] == "three"
    assert fork["settled"] is None
    assert int(str(fork["void"])) >= 4
    assert await document(one, "notes") == {"honest": "three wrote this when it was honest"}
