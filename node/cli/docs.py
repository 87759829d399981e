"""`lattice doc new|get|set|delete|edit|list|watch|undo|redo` and `lattice space create|join|list`."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from ..exits import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from ..frames import Data
from ..home import Home
from .client import Client, CommandError, ask_once
from .output import pretty, safe, safe_text, say, show_json, table

type Item = dict[str, Data]


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names."""
    home = Home.find(options.home)
    if options.command == "space":
        return _space(options, home)
    match options.action:
        case "list":
            return _list(options, home)
        case "watch":
            return _watch(options, home)
        case "edit":
            return _edit(options, home)
        case "new":
            value = json.dumps({"text": ""}) if options.value is None else _json(options.value)
            result = ask_once(home, "doc new", space=options.space, document=options.document, value=value)
            say(f"{safe(options.document)} is in {safe(cast('Item', result)['space'])}")
        case "set":
            value = _json(options.value)
            result = _ask(options, home, "doc set", path=options.path, value=value)
        case "delete":
            result = _ask(options, home, "doc delete", path=options.path)
        case "undo" | "redo":
            result = _ask(options, home, f"doc {options.action}")
        case _:
            result = _ask(options, home, "doc get", path=options.path)
            return _show(options, cast("Item", result))
    if options.json:
        show_json(result)
    return EXIT_OK


def _ask(options: argparse.Namespace, home: Home, do: str, **arguments: Data) -> Data:
    return ask_once(home, do, None, space=options.space, document=options.document, **arguments)


def _json(given: str) -> str:
    """JSON as it is; any other text stands for itself, so that words need no quotes of their own."""
    if given == "-":
        given = sys.stdin.read()
    try:
        json.loads(given)
    except ValueError:
        return json.dumps(given)
    except RecursionError as error:
        raise CommandError("usage", "the value is nested too deeply", EXIT_USAGE) from error
    return given


def _show(options: argparse.Namespace, result: Item) -> int:
    if options.json:
        show_json(result)
        return EXIT_OK
    show_value(result["value"])
    for path, versions in cast("Item", result["conflicts"]).items():
        say(f"written at once at {safe(path)}: {pretty(versions)}")
    return EXIT_OK


def show_value(value: Data) -> None:
    """A text as it is, anything else as JSON; a terminal gets neither with control characters in it."""
    if not isinstance(value, str):
        print(pretty(value, indent=2))
    else:
        print(safe_text(value) if sys.stdout.isatty() else value)


def _list(options: argparse.Namespace, home: Home) -> int:
    result = ask_once(home, "doc list", space=options.space)
    if options.json:
        show_json(result)
        return EXIT_OK
    items = cast("list[Item]", result)
    if items:
        table([[i["document"], i["space"], i["conflicts"]] for i in items], ["DOCUMENT", "SPACE", "CONFLICTS"])
    else:
        say("no documents yet: lattice doc new NAME")
    return EXIT_OK


def _watch(options: argparse.Namespace, home: Home) -> int:
    def show(event: Mapping[str, Data]) -> None:
        if options.json:
            show_json({"paths": event["paths"], "value": event["value"]})
        else:
            paths = ", ".join(safe(path) for path in cast("list[Data]", event["paths"])) or "now"
            print(f"{paths}: {pretty(event['value'])}")
        sys.stdout.flush()

    with Client(home) as client:
        client.ask("doc watch", show, space=options.space, document=options.document)
    return EXIT_OK


def _edit(options: argparse.Namespace, home: Home) -> int:
    def edit(event: Mapping[str, Data]) -> str | None:
        return _edited(str(event["text"])) if event.get("event") == "text" else None

    with Client(home) as client:
        result = client.ask("doc edit", edit, space=options.space, document=options.document, path=options.path)
    if options.json:
        show_json(result)
    elif not cast("Item", result)["changed"]:
        say("unchanged")
    return EXIT_OK


def _edited(before: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="lattice-") as directory:
        path = Path(directory, "document.txt")
        path.write_text(before, encoding="utf-8", newline="")
        try:
            code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode  # noqa: S603  # theirs
        except OSError as error:
            raise CommandError(
                "editor", f"cannot start {editor!r}: {error.strerror}; set EDITOR", EXIT_ERROR
            ) from error
        if code != 0:
            raise CommandError("editor", f"{editor!r} ended with {code}; nothing was changed", EXIT_ERROR)
        try:
            after = path.read_text(encoding="utf-8", newline="")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError("usage", f"what the editor left is no text: {error}", EXIT_USAGE) from error
    # Many editors end every file with a line end, which is no edit of ours.
    return after[:-1] if after.endswith("\n") and not before.endswith("\n") else after


def _space(options: argparse.Namespace, home: Home) -> int:
    if options.action != "list":
        result = ask_once(home, f"space {options.action}", name=options.name)
        say(f"{safe(options.name)} is held here")
        if options.json:
            show_json(result)
        return EXIT_OK
    result = ask_once(home, "space list")
    if options.json:
        show_json(result)
        return EXIT_OK
    rows: list[list[Data]] = [
        [
            i["name"],
            str(i["space"])[:8],
            "held" if i["held"] else "offered",
            "yes" if i["folder"] else "",
            i["documents"],
        ]
        for i in cast("list[Item]", result)
    ]
    table(rows, ["SPACE", "ID", "STATE", "FOLDER", "DOCUMENTS"])
    return EXIT_OK
