"""Mutation testing of the replication core: how many small changes of its code do the tests notice?

    uv run --no-sync --with "mutmut==3.8.1" --group test python tests/mutation/run.py [--jobs N] [MODULE ...]

mutmut finds no tests under this repository's mapped layout, so the folders are copied into a package `latticework` in a
temporary directory and it runs there. Each line: module, killed, survived, share killed in percent; the survivors are
listed after it. Ends with 1 if any module stays under the goal of 85 %.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("wire", "crdt", "chunkstore", "handshake", "transport", "discovery", "node", "simnet")
GOAL = 85.0
TESTS: dict[str, tuple[str, ...]] = {
    "logs": ("test_logs.py", "test_space.py"),
    "orphans": ("test_orphans.py", "test_logs.py"),
    "causality": ("test_causality.py",),
    "statements": ("test_statements.py",),
    "containment": ("test_containment.py",),
    "attestations": ("test_checkpoint.py", "test_space.py", "test_equivocation.py"),
    "checkpoint": ("test_checkpoint.py",),
    "payloads": ("test_payloads.py", "test_space.py", "test_replica_laws.py"),
    "batch": ("test_batch.py",),
    "registers": ("test_merge_types.py", "test_documents.py"),
    "orset": ("test_merge_types.py", "test_documents.py"),
    "counter": ("test_merge_types.py", "test_documents.py"),
    "fugue": ("test_fugue.py", "test_documents.py"),
    "moves": ("test_moves.py", "test_filetree_laws.py"),
    "tree_history": ("test_moves.py", "test_filetree.py", "test_filetree_laws.py"),
}
"""Module of crdt/: the tests that are there to notice."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=sorted(TESTS), metavar="MODULE", help=", ".join(sorted(TESTS)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    poor = [module for module in options.modules if share_killed(module, options.jobs) < GOAL]
    if poor:
        say(f"under {GOAL:.0f} %: {', '.join(poor)}")
    return 1 if poor else 0


def share_killed(module: str, jobs: int) -> float:
    with tempfile.TemporaryDirectory(prefix="lattice-mutation-") as directory:
        place = Path(directory)
        package = place / "latticework"
        package.mkdir()
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, package / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for needed in ("crdt", "vectors", "simnet"):
            shutil.copytree(
                ROOT / "tests" / needed, place / "tests" / needed, ignore=shutil.ignore_patterns("__pycache__")
            )
        tests = [f"tests/crdt/{name}" for name in TESTS[module] if (place / "tests" / "crdt" / name).exists()]
        (place / "setup.cfg").write_text(configuration(module, tests))
        (place / "pytest.ini").write_text(PYTEST)
        (place / "conftest.py").write_text(CONFTEST)
        environment = {**os.environ, "PYTHONPATH": directory}
        command = [sys.executable, "-m", "mutmut"]
        subprocess.run([*command, "run", "--max-children", str(jobs)], cwd=place, env=environment, check=False)
        results = subprocess.run(
            [*command, "results", "--all", "true"],
            cwd=place,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    return report(module, results)


def configuration(module: str, tests: list[str]) -> str:
    chosen = "\n    ".join(tests)
    return (
        f"[mutmut]\npaths_to_mutate=latticework/crdt/{module}.py\ntests_dir=\n    {chosen}\n"
        "also_copy=\n    latticework\n    tests\n    pytest.ini\n    conftest.py\n"
    )


CONFTEST = """from hypothesis import settings

settings.register_profile("mutation", max_examples=25, stateful_step_count=15, deadline=None, derandomize=True)
settings.load_profile("mutation")
"""
PYTEST = """[pytest]
addopts = --import-mode=importlib -m "not long and not wire" -x -q -p no:cacheprovider
markers =
    unit
    property
    sim
    wire
    long
trio_mode = true
"""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def report(module: str, results: str) -> float:
    outcomes = re.findall(r"^\s*(\S+): (\w[\w ]*)$", results, re.MULTILINE)
    counts = Counter(outcome for _, outcome in outcomes)
    noticed = counts["killed"] + counts["timeout"] + counts["segfault"]
    judged = noticed + counts["survived"] + counts["no tests"]
    share = 100 * noticed / judged if judged else 0.0
    say(f"{module}\t{noticed} killed\t{judged - noticed} survived\t{share:.1f} %")
    for name, outcome in outcomes:
        if outcome in {"survived", "no tests"}:
            say(f"    {name}: {outcome}")
    return share


if __name__ == "__main__":
    sys.exit(main())
