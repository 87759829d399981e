"""The commands that ask a running node and print its answer."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, cast

from ..exits import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from ..frames import Data
from ..home import Home
from .client import CommandError, ask_once
from .output import safe, say, show_json, table

type Item = dict[str, Data]


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names."""
    home = Home.find(options.home)
    match options.command:
        case "folder":
            return _folder(options, home)
        case "why":
            result = ask_once(home, "why", path=str(_absolute(options.path)))
            return _print(options, result, _show_why)
        case "sync":
            with _Progress() as progress:
                result = ask_once(home, "sync", progress, timeout_s=options.timeout)
            return _print(options, result, lambda _: say("in step"))
        case "doctor":
            result = ask_once(home, "doctor")
            _print(options, result, _show_doctor)
            return EXIT_OK if all(item["ok"] for item in _items(result)) else EXIT_ERROR
        case "devices":
            return _print(options, ask_once(home, "devices"), _show_devices)
        case "conflicts":
            return _print(options, ask_once(home, "conflicts"), _show_conflicts)
        case _:
            return _print(options, ask_once(home, "status"), _show_status)


def _folder(options: argparse.Namespace, home: Home) -> int:
    match options.action:
        case "add":
            path = _absolute(options.path)
            if path.exists() and not path.is_dir():
                raise CommandError("usage", f"{path} is not a directory", EXIT_USAGE)
            name = options.name or path.name
            if not name or not name.isprintable():
                raise CommandError("usage", "a folder's name is printable text; choose one with --name", EXIT_USAGE)
            result = ask_once(home, "folder add", path=str(path), name=name)
            return _print(options, result, lambda _: say(f"{safe(name)} is shared with your devices"))
        case "join":
            path = _absolute(options.path)
            result = ask_once(home, "folder join", path=str(path), name=options.name)
            return _print(options, result, lambda _: say(f"{safe(options.name)} is kept in {path}"))
        case _:
            return _print(options, ask_once(home, "folder list"), _show_folders)


def _absolute(text: str) -> Path:
    # Not resolve(): a symbolic link may be the very path that is asked about.
    return Path(text).expanduser().absolute()


def _print(options: argparse.Namespace, result: Data, show: Callable[[Data], object]) -> int:
    if options.json:
        show_json(result)
    else:
        show(result)
    return EXIT_OK


class _Progress:
    """A line on a terminal while `sync` waits; it is wiped before anything else is said."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, event: Mapping[str, Data]) -> bool | None:
        if event.get("event") == "progress" and sys.stderr.isatty():
            text = f"{event['connected']} connected, {event['pending']} pending"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        return None


def _items(result: Data) -> list[Item]:
    return cast("list[Item]", result)


def _show_status(result: Data) -> None:
    status = cast("Item", result)
    print(f"{safe(status['name'])}  {str(status['device'])[:16]}")
    print(f"listening  {', '.join(safe(a) for a in cast('list[Data]', status['listening'])) or 'nowhere'}")
    print()
    _show_devices(status["devices"])
    print()
    _show_folders([*_items(status["folders"]), *({**item, "state": "offered"} for item in _items(status["offered"]))])
    for folder in _items(status["folders"]):
        if folder["problem"]:
            print(f"\n{safe(folder['name'])}: {safe(folder['problem'])}")
        for item in _items(folder["pending_paths"]):
            print(f"  {safe(item['path'])}: {_because(item)}")


def _because(item: Item) -> str:
    message = safe(item["message"])
    return f"{safe(item['reason'])}{' (' + message + ')' if message else ''}; {safe(item['action'])}"


def _show_devices(result: Data) -> None:
    rows: list[list[Data]] = []
    for item in _items(result):
        state = "this device" if item["this"] else "connected" if item["connected"] else "not connected"
        path = item.get("address")
        algorithms = f"{item['kem']}, {item['signature']}, {item['cipher']}" if item["connected"] else ""
        rows.append([item["name"], str(item["device"])[:16], state, path, algorithms])
    table(rows, ["DEVICE", "ID", "STATE", "PATH", "ALGORITHMS"])


def _show_folders(result: Data) -> None:
    rows: list[list[Data]] = []
    for item in _items(result):
        others = ", ".join(_peer_state(peer) for peer in _items(item.get("peers", [])) if peer["shares"])
        counts = [item.get("pending"), item.get("conflicts")]
        rows.append([item["name"], str(item["space"])[:8], item["state"], *counts, item.get("path"), others])
    if rows:
        table(rows, ["FOLDER", "ID", "STATE", "PENDING", "CONFLICTS", "PATH", "OTHERS"])
    else:
        print("no folders yet: lattice folder add PATH")


def _peer_state(peer: Item) -> str:
    if peer["in_step"]:
        return f"{safe(peer['name'])} in step"
    pending = peer["pending"] or 0
    return f"{safe(peer['name'])} {pending} behind" if pending else f"{safe(peer['name'])} catching up"


def _show_why(result: Data) -> None:
    item = cast("Item", result)
    print(f"{safe(item['path'])} in {safe(item['folder'])}: {'in step' if item['in_step'] else 'not in step'}")
    print(f"reason: {safe(item['reason'])}{': ' + safe(item['message']) if item['message'] else ''}")
    print(f"next:   {safe(item['action'])}")
    for peer in _items(item["behind"]):
        print(f"        {_peer_state(peer)}")


def _show_conflicts(result: Data) -> None:
    conflicts = _items(result)
    if not conflicts:
        say("no conflicts")
    for conflict in conflicts:
        print(f"{safe(conflict['folder'])}: {safe(conflict['path'])}")
        for version in _items(conflict["versions"]):
            mark = "keeps the name" if version["kept_name"] else "copy"
            print(f"  {safe(version['path'])}  ({safe(version['device'])}, {safe(version['time'])}, {mark})")
    if conflicts:
        say("Edit the file you keep, then delete the other; that settles it on all devices.")


def _show_doctor(result: Data) -> None:
    for item in _items(result):
        print(f"{'ok  ' if item['ok'] else 'FAIL'}  {safe(item['check'])}: {safe(item['message'])}")
        if item["action"]:
            print(f"      {safe(item['action'])}")
