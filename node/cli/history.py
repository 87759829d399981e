"""`lattice log|inspect|verify|rebuild|prune|forks`: looking into the logs of a space."""

import argparse
from pathlib import Path
from typing import cast

from latticework.wire import StoreError

from ..exits import EXIT_OK
from ..frames import Data
from ..home import Home
from .client import ask_once
from .output import safe, say, show_json, table

type Item = dict[str, Data]


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names."""
    home = Home.find(options.home)
    match options.command:
        case "log":
            result = ask_once(home, "log", space=options.space, limit=options.limit)
            show = _show_log
        case "inspect":
            result = ask_once(home, "inspect", entry=options.entry)
            show = _show_entry
        case "forks":
            result = ask_once(home, "forks")
            if options.export is not None:
                _export(cast("list[Item]", result), Path(options.export))
            show = _show_forks
        case "prune":
            result = ask_once(home, "prune", space=options.space)
            show = _show_pruned
        case command:
            result = ask_once(home, command, space=options.space)
            show = _show_checked
    if options.json:
        show_json(result)
    else:
        show(result)
    return EXIT_OK


def _show_log(result: Data) -> None:
    log = cast("Item", result)
    rows: list[list[Data]] = []
    for item in cast("list[Item]", log["entries"]):
        note = " (void)" if item["void"] else ""
        rows.append(
            [
                str(item["entry"])[:12],
                item["device"],
                item["seq"],
                f"{str(item['time'])[:19]}Z",
                item["lane"],
                item["bytes"],
                f"{item['summary']}{note}",
            ]
        )
    if rows:
        table(rows, ["ENTRY", "DEVICE", "SEQ", "TIME", "LANE", "BYTES", "WHAT"])
    say(f"{log['count']} entries in {safe(log['space'])}, {log['waiting']} waiting")
    for lane, count in cast("Item", log["unknown_lanes"]).items():
        say(f"{count} entries of lane {lane}, which this version does not know: kept, passed on, not shown")


def _show_entry(result: Data) -> None:
    item = cast("Item", result)
    for name in ("entry", "space", "device", "log", "seq", "time", "hlc", "lane", "prev", "payload_hash", "signature"):
        print(f"{name:13} {safe(item[name])}")
    for dep in cast("list[Data]", item["deps"]):
        print(f"{'depends on':13} {dep}")
    print(f"{'size':13} {item['header_bytes']} bytes of header, {item['bytes']} of sealed payload")
    if item["void"]:
        print(f"{'void':13} its log is convicted; it has no effect (lattice forks)")
    print(f"{'what':13} {safe(item['summary'])}")
    for operation in cast("list[Data]", item["operations"]):
        print(f"  {safe(operation)}")


def _show_forks(result: Data) -> None:
    forks = cast("list[Item]", result)
    for fork in forks:
        whose = "this device" if fork["own"] else safe(fork["name"])
        print(f"{safe(fork['space'])}: a log of {whose} is convicted of equivocation ({fork['kind']})")
        print(f"  log      {fork['log']}")
        print(f"  from     entry {fork['seq']} on; {fork['void']} entries without effect")
        print(f"  settled  {fork['settled'] or 'nothing above the fork'}")
        for name in cast("list[Data]", fork["colluders"]):
            print(f"  built on both branches: {safe(name)}")
    if forks:
        say("Anybody can check the evidence: lattice forks --export DIR, then examples/verify_fraud_proof.py")
    else:
        say("no forks")


def _export(forks: list[Item], directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for fork in forks:
            name = f"{str(fork['space_id'])[:16]}-{str(fork['log'])[:16]}.proof"
            (directory / name).write_bytes(bytes.fromhex(str(fork["proof"])))
            say(f"{directory / name}  (space {fork['space_id']})")
    except OSError as error:
        raise StoreError(f"cannot write {directory}: {error.strerror}") from error


def _show_pruned(result: Data) -> None:
    item = cast("Item", result)
    say(f"{safe(item['space'])}: {item['erased']} payloads erased that every device has")


def _show_checked(result: Data) -> None:
    item = cast("Item", result)
    say(f"{safe(item['space'])}: {item['entries']} entries in order")
    print(f"state root {item['state_root']}")
