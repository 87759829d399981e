"""Two nodes in one program pair, and keep one document: a text, a list, a counter and a set that both write at once."""

import tempfile
from pathlib import Path

import trio

from latticework.node.api import Doc, Node

LISTEN = ["/ip4/127.0.0.1/tcp/0"]


async def watch(name: str, doc: Doc) -> None:
    async for change in doc.changes():
        print(f"{name} saw a change at {sorted(map(str, change.paths))}")


async def main(scratch: Path) -> None:
    async with (
        Node.open(scratch / "laptop", name="laptop", listen=LISTEN, mdns=False) as laptop,
        Node.open(scratch / "phone", name="phone", listen=LISTEN, mdns=False) as phone,
        trio.open_nursery() as nursery,
    ):
        with laptop.invite() as code:
            await phone.join(code)

        ours = laptop.space("home").doc("notes")
        theirs = phone.space("home").doc("notes")
        await ours.change(lambda edit: edit.put(("note",), "Buy milk"))
        await ours.put(("items",), ["milk"])
        await theirs.until(lambda doc: doc.get(("items",)) == ["milk"])
        nursery.start_soon(watch, "phone", theirs)

        # Both write at once; nothing is lost, and both end with the same.
        async with trio.open_nursery() as both:
            both.start_soon(ours.text("note").insert, 8, " and bread")
            both.start_soon(theirs.text("note").insert, 0, "Today: ")
            both.start_soon(ours.counter("visits").add, 2)
            both.start_soon(theirs.counter("visits").add, 3)
            both.start_soon(ours.set("tags").add, "food")
            both.start_soon(theirs.set("tags").add, "today")

        whole = {
            "note": "Today: Buy milk and bread",
            "items": ["milk"],
            "visits": 5,
            "tags": ["food", "today"],
        }
        await ours.until(lambda doc: doc.json() == whole)
        await theirs.until(lambda doc: doc.json() == whole)
        await ours.undo()
        print(ours.json())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        trio.run(main, Path(directory))
