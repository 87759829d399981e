# ruff: noqa: PLC0415 - each process imports only the library that it measures
"""Text: the "B4" editing trace, 260,000 edits, through ours, Loro, pycrdt, Yjs and Automerge.

    uv run --all-groups python bench/crdt_text.py [--quick] [--ours-only]

Each line: name, value, unit, peer, its value, ratio ours/theirs. Rates and times are of processor time.
The trace is ../shared/data/editing-traces (CC BY 4.0); automerge, pycrdt and an entry per edit get a part of it.
The peers run in environments of their own in the temporary directory, made on the first run: `uv pip install` in a
virtual environment ($LATTICE_BENCH_CRDT, without our pins) and `npm install` beside it; what cannot be had is left out.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

HOME = Path(os.environ.get("LATTICE_BENCH_CRDT", Path(tempfile.gettempdir(), "lattice-bench-crdt")))
TRACE = Path(__file__).parents[2] / "shared" / "data" / "editing-traces" / "automerge-paper.json.gz"
ENTRY_EDITS = 2000
QUICK_EDITS = 20_000
SLOW_EDITS = 20_000
PYTHON_PEERS = {"loro": "loro==1.17.1", "pycrdt": "pycrdt>=0.14.13"}
NODE_PEERS = {"yjs": "yjs@13.6", "automerge": "@automerge/automerge@3"}

type Edit = tuple[int, int, str]
type Figures = dict[str, float]


def edits(count: int | None) -> list[Edit]:
    history = json.loads(gzip.decompress(TRACE.read_bytes()))
    return [tuple(patch) for transaction in history["txns"] for patch in transaction["patches"]][:count]


def replayed(trace: list[Edit]) -> str:
    text: list[str] = []
    for at, gone, new in trace:
        text[at : at + gone] = new
    return "".join(text)


class Stopwatch:
    """Processor time of a block: other work on the machine counts less than on a wall clock."""

    def __enter__(self) -> Self:
        self._began = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.process_time() - self._began


# ours


def typed(trace: list[Edit]) -> tuple[float, int]:
    """Seconds to type the trace into the text type, one operation as it is on the wire per edit; spans at the end."""
    from latticework.crdt.containers import TextNode
    from latticework.crdt.doc_ops import DeleteElements, DocOperations, ElementRange, ElementRef, InsertText
    from latticework.crdt.fugue import END, START
    from latticework.crdt.operations import Applied, Insertion

    node = TextNode(1, 0, "t", 1)
    entry = Applied(b"", 0, b"", 0, {}, DocOperations("d", (), (), ()), void=False)
    said: list[InsertText | DeleteElements] = []

    def reference(element: int) -> ElementRef:
        insertion = node.insertion_of(element)
        return ElementRef(insertion.entry.seq, insertion.index, element - insertion.first)

    with Stopwatch() as watch:
        for number, (at, gone, text) in enumerate(trace):
            if number % ENTRY_EDITS == 0:
                entry = Applied(b"", number, b"", number // ENTRY_EDITS, {}, entry.content, void=False)
            if gone:
                ranges: list[ElementRange] = []
                runs = node.fugue.spans.shown_runs(at, gone)
                for first, count in runs:
                    node.fugue.spans.hide(first, count, 1)
                    start, end = first, first + count
                    while start < end:
                        insertion = node.insertion_of(start)
                        stop = min(end, insertion.first + insertion.count)
                        offset = start - insertion.first
                        ranges.append(ElementRange(insertion.entry.seq, insertion.index, offset, stop - start))
                        start = stop
                said.append(DeleteElements(1, tuple(ranges)))
            if text:
                first = node.fugue.total
                node.announce(Insertion(entry, number % ENTRY_EDITS, 1, first, len(text)))
                parent, left_side, right = node.fugue.insert_at(at, len(text))
                node.append(text)
                left = None if parent == START else reference(parent)
                said.append(
                    InsertText(1, left, left_side, None if left_side or right == END else reference(right), text)
                )
    assert node.text() == replayed(trace)
    return watch.seconds, sum(1 for _ in node.fugue.spans)


def ours(trace: list[Edit], slow: int) -> Figures:
    from latticework.crdt.doc_edit import DocumentEditor
    from latticework.crdt.documents import Documents
    from latticework.wire import EntryId, LogId, encode

    log = LogId(bytes(32))
    expected = replayed(trace)

    def written(per_entry: int, trace: list[Edit]) -> Iterator[tuple[object, ...]]:
        documents = Documents()
        for number, start in enumerate(range(-per_entry, len(trace), per_entry)):
            editor = DocumentEditor(documents, "d", log)
            if start < 0:
                editor.put(("t",), "")
            for edit in trace[max(start, 0) : start + per_entry] if start >= 0 else []:
                editor.splice(("t",), *edit)
            entry = (
                EntryId(number.to_bytes(32)),
                number,
                log,
                number,
                {log: number - 1} if number else {},
                editor.operations(),
            )
            documents.apply(*entry)
            yield (*entry, documents)

    seconds, spans = typed(trace)
    figures: Figures = {"type": len(trace) / seconds, "spans": spans}
    with Stopwatch() as watch:
        made = list(written(ENTRY_EDITS, trace))
    figures["batch"] = len(trace) / watch.seconds
    documents = made[-1][-1]
    assert documents.document("d").text(("t",)) == expected
    with Stopwatch() as watch:
        list(written(1, trace[:slow]))
    figures["entry"] = slow / watch.seconds
    other = Documents()
    with Stopwatch() as watch:
        for entry in made:
            other.apply(*entry[:-1])
    figures["apply_s"] = watch.seconds
    assert other.document("d").text(("t",)) == expected
    snapshot = documents.snapshot()
    with Stopwatch() as watch:
        loaded = Documents.load(snapshot)
    figures["load_s"] = watch.seconds
    assert loaded.document("d").text(("t",)) == expected
    figures["size"] = len(snapshot)
    figures["wire"] = sum(len(encode(entry[5])) for entry in made)
    return figures


# the peers


def loro(trace: list[Edit], _: int) -> Figures:
    import loro

    document = loro.LoroDoc()
    text = document.get_text("t")
    with Stopwatch() as watch:
        for at, gone, new in trace:
            if gone:
                text.delete(at, gone)
            if new:
                text.insert(at, new)
            document.commit()
    assert text.to_string() == replayed(trace)
    figures: Figures = {"edit": len(trace) / watch.seconds}
    for name, mode in (
        ("load_s", loro.ExportMode.Snapshot()),
        ("apply_s", loro.ExportMode.Updates(loro.VersionVector())),
    ):
        exported = document.export(mode)
        other = loro.LoroDoc()
        with Stopwatch() as watch:
            other.import_(exported)
            other.get_text("t").to_string()
        figures[name] = watch.seconds
        figures["size" if name == "load_s" else "wire"] = len(exported)
    return figures


def pycrdt(trace: list[Edit], slow: int) -> Figures:
    import pycrdt

    document = pycrdt.Doc()
    text = document.get("t", type=pycrdt.Text)
    with Stopwatch() as watch:
        for at, gone, new in trace[:slow]:
            with document.transaction():
                if gone:
                    del text[at : at + gone]
                if new:
                    text.insert(at, new)
    assert str(text) == replayed(trace[:slow])
    figures: Figures = {"edit": slow / watch.seconds}
    if slow == len(trace):
        figures |= {"size": len(document.get_update())}
    other = pycrdt.Doc()
    copied = other.get("t", type=pycrdt.Text)
    update = document.get_update()
    with Stopwatch() as watch:
        other.apply_update(update)
    assert str(copied) == str(text)
    if slow == len(trace):
        figures["load_s"] = watch.seconds
    return figures


NODE = """
const fs = require("fs");
const [peer, path, slowText] = process.argv.slice(2);
const edits = JSON.parse(fs.readFileSync(path, "utf8"));
const slow = Number(slowText);
const clock = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1e6; };
const figures = {};
if (peer === "yjs") {
  const Y = require("yjs");
  const doc = new Y.Doc(), text = doc.getText("t");
  let began = clock();
  for (const [at, gone, fresh] of edits)
    doc.transact(() => { if (gone) text.delete(at, gone); if (fresh) text.insert(at, fresh); });
  figures.edit = edits.length / (clock() - began);
  const update = Y.encodeStateAsUpdate(doc), other = new Y.Doc();
  began = clock();
  Y.applyUpdate(other, update);
  if (other.getText("t").toString() !== text.toString()) throw new Error("differs");
  figures.load_s = clock() - began;
  figures.size = update.length;
} else {
  const A = require("@automerge/automerge");
  let doc = A.from({ t: "" });
  let began = clock();
  for (const [at, gone, fresh] of edits.slice(0, slow)) doc = A.change(doc, (d) => A.splice(d, ["t"], at, gone, fresh));
  figures.edit = slow / (clock() - began);
  const rest = edits.slice(slow);
  doc = A.change(doc, (d) => { for (const [at, gone, fresh] of rest) A.splice(d, ["t"], at, gone, fresh); });
  const saved = A.save(doc);
  began = clock();
  const other = A.load(saved);
  if (other.t.length !== doc.t.length) throw new Error("differs");
  figures.load_s = clock() - began;
  figures.size = saved.length;
}
console.log("RESULT " + JSON.stringify(figures));
"""
MEASURED = {"ours": ours, "loro": loro, "pycrdt": pycrdt}


def python_with(peer: str) -> str:
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", "--clear", "-p", sys.executable, str(HOME / "venv")], check=True)
    if subprocess.run([python, "-c", f"import {peer}"], capture_output=True, check=False).returncode:
        # Not from the checkout: our pins are for us.
        install = ["uv", "pip", "install", "-q", "-p", str(python), PYTHON_PEERS[peer]]
        subprocess.run(install, check=True, cwd=HOME)
    return str(python)


def measure(peer: str, count: int | None, slow: int) -> Figures:
    command = [sys.executable, __file__]
    HOME.mkdir(parents=True, exist_ok=True)
    if peer in NODE_PEERS:
        if not (HOME / "node_modules" / NODE_PEERS[peer].rpartition("@")[0]).exists():
            subprocess.run(["npm", "install", "--silent", NODE_PEERS[peer]], check=True, cwd=HOME, capture_output=True)
        (HOME / "text.cjs").write_text(NODE)
        (HOME / "edits.json").write_text(json.dumps(edits(count)))
        command = ["node", str(HOME / "text.cjs"), peer, str(HOME / "edits.json"), str(slow)]
    else:
        command = [python_with(peer) if peer in PYTHON_PEERS else sys.executable, str(Path(__file__).resolve())]
        command += ["--measure", peer, "--count", str(count or 0), "--slow", str(slow)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600, cwd=HOME)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def measured(peer: str, count: int | None, slow: int) -> Figures:
    try:
        return measure(peer, count, slow)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"# {peer} is left out: {error!r:.200}", file=sys.stderr)
        return {}


LINES = (
    ("crdt_text_typed", "edits/s", "type", "edit"),
    ("crdt_text_edited_in_entries_of_2000", "edits/s", "batch", "edit"),
    ("crdt_text_edited_entry_per_edit", "edits/s", "entry", "edit"),
    ("crdt_text_load_snapshot", "s", "load_s", "load_s"),
    ("crdt_text_apply_history", "s", "apply_s", "apply_s"),
    ("crdt_text_snapshot", "bytes", "size", "size"),
    ("crdt_text_history", "bytes", "wire", "wire"),
)


def lines(*, quick: bool = False, ours_only: bool = False) -> Iterator[str]:
    """One line per figure and peer; nothing but a remark where the trace is not here."""
    if not TRACE.exists():
        print(f"# {TRACE} is not here", file=sys.stderr)
        return
    count = QUICK_EDITS if quick else None
    slow = 4000 if quick else SLOW_EDITS
    own = measure("ours", count, slow)
    peers = {} if ours_only else {peer: measured(peer, count, slow) for peer in (*PYTHON_PEERS, *NODE_PEERS)}
    for name, unit, mine, theirs in LINES:
        value, compared = own[mine], [(peer, figures[theirs]) for peer, figures in peers.items() if theirs in figures]
        shape = ".3f" if unit == "s" else ".0f"
        if not compared:
            yield f"{name}\t{value:{shape}}\t{unit}"
        for peer, other in compared:
            yield f"{name}\t{value:{shape}}\t{unit}\t{peer}\t{other:{shape}}\t{value / other:.3g}"
    yield f"crdt_text_spans\t{own['spans']:.0f}\tspans"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"the first {QUICK_EDITS} edits")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--measure", choices=list(MEASURED), help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--slow", type=int, default=SLOW_EDITS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print("RESULT " + json.dumps(MEASURED[arguments.measure](edits(arguments.count or None), arguments.slow)))
        return
    for line in lines(quick=arguments.quick, ours_only=arguments.ours_only):
        print(line, flush=True)


if __name__ == "__main__":
    main()
