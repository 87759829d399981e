# ruff: noqa: TID251 - real processes on real time
"""Two nodes of ours, paired, with one shared folder: two processes of the `lattice` command."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from latticework.node.cli.client import ask_once
from latticework.node.home import Home

_LATTICE = [sys.executable, "-m", "latticework.node.cli.main"]


class Node:
    """One node; `folder` is the directory it keeps."""

    def __init__(self, scratch: Path, name: str) -> None:
        self.name = name
        self.home = Home(scratch / name)
        self.folder = scratch / f"{name}-folder"
        self.log = scratch / f"{name}.log"
        self.process: subprocess.Popen[str] | None = None
        self.address = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def create(self) -> None:
        self._run("init", "--name", self.name)

    def start(self) -> float:
        """Start the node; seconds from the start of the process to its ready line."""
        began = time.perf_counter()
        with self.log.open("ab") as log:
            command = [*_LATTICE, "--home", str(self.home.root), "--json", "up", "--no-mdns"]
            listen = self.address or "/ip4/127.0.0.1/tcp/0"
            self.process = subprocess.Popen(
                [*command, "--listen", listen], env=_environment(), stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline()
        took = time.perf_counter() - began
        if not line:
            raise RuntimeError(f"node {self.name} did not start: {self.log.read_text()[-2000:]}")
        self.address = json.loads(line)["listening"][0]
        return took

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)
            self.process.stdout.close()
            self.process = None

    def ask(self, do: str, **arguments: str | list[str]):
        return ask_once(self.home, do, lambda event: event.get("event") == "confirm", **arguments)

    def trouble(self) -> str:
        """What a person would look at when this node hangs."""
        try:
            status = json.dumps(self.ask("status")["folders"])
        except Exception as error:
            status = f"no status: {error}"
        return f"{self.name}: {status}\n{self.log.read_text()[-2000:]}"

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*_LATTICE, "--home", str(self.home.root), *arguments], env=_environment(), check=True, capture_output=True
        )


class NodePair:
    """A and B, connected; what appears in A's folder is to appear in B's."""

    name = "lattice"

    def __init__(self, scratch: Path) -> None:
        self.a, self.b = Node(scratch, "a"), Node(scratch, "b")
        self.startup_s: list[float] = []

    def open(self) -> None:
        for node in (self.a, self.b):
            node.create()
            self.startup_s.append(node.start())
        self._pair()
        self.a.ask("folder add", path=str(self.a.folder), name="bench")
        wait_for(lambda: any(folder["name"] == "bench" for folder in self.b.ask("folder list")), 30, "the offer")
        self.b.ask("folder join", name="bench", path=str(self.b.folder))
        self.wait_connected()

    def wait_connected(self) -> None:
        wait_for(self._in_step, 60, "both nodes to be in step")

    def placed(self) -> None:
        """Something was put into A's folder: its watcher finds out by itself."""

    def alive(self) -> bool:
        """True; raises RuntimeError when one of the two has died."""
        for side in (self.a, self.b):
            if side.process.poll() is not None:
                raise RuntimeError(f"{self.name} has died with {side.process.returncode}")
        return True

    def close(self) -> None:
        self.a.stop()
        self.b.stop()

    def trouble(self) -> str:
        return f"{self.a.trouble()}\n{self.b.trouble()}"

    def _in_step(self) -> bool:
        for node in (self.a, self.b):
            status = node.ask("status")
            if not status["in_step"] or not all(any(p["in_step"] for p in f["peers"]) for f in status["folders"]):
                return False
        return True

    def _pair(self) -> None:
        command = [*_LATTICE, "--home", str(self.a.home.root), "--json", "pair", "--yes"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=_environment(), stdout=pipe, stderr=pipe, text=True) as sponsor:
            code = json.loads(sponsor.stdout.readline())["code"]
            self.b.ask("pair with", code=code, peers=[self.a.address])
            _, said = sponsor.communicate(timeout=30)
        if sponsor.returncode:
            raise RuntimeError(f"pairing failed: {said}")


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("LATTICE_")}


def wait_for(condition, limit_s: float, what: str, step_s: float = 0.05) -> None:
    """Poll until `condition`; raises TimeoutError."""
    limit = time.perf_counter() + limit_s
    while not condition():
        if time.perf_counter() > limit:
            raise TimeoutError(f"waited {limit_s:g} s for {what}")
        time.sleep(step_s)


def end(process: subprocess.Popen) -> None:
    """Ask a process of ours to stop, then make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
