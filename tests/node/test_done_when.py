"""What issue 3 is done by: two nodes keep a document, a text and a folder in step while a third forks its log."""

import pytest
import trio

from .conftest import free_ports
from .devices import Device, Item, contents
from .mesh import Mesh, assert_equal, convicted, document, forks, in_step, launch, put, retype
from .traitor import Twins, acquaint

pytestmark = pytest.mark.wire
ROUNDS = 5


async def write_on(device: Device) -> None:
    """What a person does: values, words in a text, files."""
    for number in range(ROUNDS):
        await put(device, "plan", **{f"{device.name}{number}": [number, {"by": device.name}]})
        await retype(device, "plan", "/body", lambda text: f"{text}{device.name} was here. ")
        (device.folder / f"{device.name}{number}").write_text(f"{device.name} {number}")
        await trio.sleep(0.1)


async def lie_on(device: Device) -> None:
    """The same from a twin, until everybody has turned away from it."""
    for number in range(ROUNDS):
        await put(device, "plan", **{f"lie{number}": device.base.name})
        (device.folder / f"lie{number}").write_text(f"{device.base.name} {number}")
        await trio.sleep(0.1)


async def test_two_nodes_keep_everything_in_step_while_a_third_that_forks_is_convicted_and_contained(
    mesh: Mesh,
) -> None:
    one, two, three = mesh.devices
    await launch(one, two, three)
    await mesh.share()
    await put(one, "plan", title="before", body="Log: ")
    await put(three, "plan", honest=3)
    await in_step(one, two, three)
    await three.stop()
    twins = Twins.of(three, *free_ports(1))
    mesh.devices.append(twins.right)
    acquaint(twins.left, one)
    acquaint(twins.right, two)

    async with trio.open_nursery() as nursery:
        for device in (one, two):
            nursery.start_soon(write_on, device)
        await launch(twins.left, twins.right)
        for twin in (twins.left, twins.right):
            nursery.start_soon(lie_on, twin)
    await convicted(one, two)
    # The twins still run, and still tell what nobody takes.
    await write_on(one)
    await write_on(two)
    for twin in (twins.left, twins.right):
        await twin.stop()
    await in_step(one, two)
    await assert_equal(one, two, documents=["plan"])

    (fork,) = await forks(two)
    assert (fork["name"], fork["kind"], fork["settled"]) == ("three", "fork", None)
    plan = await document(one, "plan")
    body = str(plan.pop("body"))
    for device in (one, two):
        assert body.count(f"{device.name} was here. ") == 2 * ROUNDS
        for number in range(ROUNDS):
            assert plan.pop(f"{device.name}{number}") == [number, {"by": device.name}]
            assert (two.folder / f"{device.name}{number}").read_text() == f"{device.name} {number}"
    # Below the fork the twins agree, and nobody can tell them from an honest device.
    lies = [plan.pop(f"lie{number}", None) for number in range(ROUNDS)]
    assert None in lies, "what stands above the fork has no effect"
    expected: Item = {"title": "before", "honest": 3}
    assert plan == expected
    assert contents(one.folder) == contents(two.folder)
