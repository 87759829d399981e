"""`lattice pair`: a code on one device, typed or scanned on the other, and a yes on both."""

import argparse
import io
import sys
from collections.abc import Mapping
from typing import cast

import segno

from ..exits import EXIT_OK
from ..frames import Data
from ..home import Home
from .client import ask_once
from .output import safe, say, show_json


def run(options: argparse.Namespace) -> int:
    """Offer a code, or enter one."""
    home = Home.find(options.home)

    def on_event(event: Mapping[str, Data]) -> bool | None:
        match event.get("event"):
            case "code":
                _show_code(str(event["code"]), str(event["qr"]), as_json=options.json)
            case "trying":
                say(f"trying {', '.join(safe(a) for a in cast('list[Data]', event['addresses']))}")
            case "confirm":
                return _confirm(event, yes=options.yes)
            case _:
                pass
        return None

    if options.code is None:
        result = ask_once(home, "pair", on_event)
    else:
        result = ask_once(home, "pair with", on_event, code=options.code, peers=list(options.peer))
    paired = cast("dict[str, Data]", result)
    if options.json:
        show_json(paired)
    else:
        say(f"paired with {safe(paired['name'])} ({str(paired['device'])[:16]})")
        say("Next: lattice folder add PATH here, lattice folder join NAME PATH on the other device")
    return EXIT_OK


def _show_code(code: str, qr: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"code": code, "qr": qr})
        sys.stdout.flush()
        return
    drawing = io.StringIO()
    segno.make(qr, error="l").terminal(out=drawing, border=2, compact=True)
    if sys.stdout.isatty():
        print(drawing.getvalue())
    print(f"code: {code}", flush=True)
    say(f"On the other device: lattice pair {code}")
    say("It is good for one try within five minutes.")


def _confirm(event: Mapping[str, Data], *, yes: bool) -> bool:
    say(f"The other device is {safe(event['name'])!r}, id {str(event['device'])[:16]}.")
    if yes:
        return True
    if not sys.stdin.isatty():
        say("There is no terminal to ask on; use --yes in scripts.")
        return False
    return input("Pair with it? [y/N] ").strip().lower() in {"y", "yes"}
