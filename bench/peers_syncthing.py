"""Two Syncthing nodes with one shared folder, connected by static addresses: no discovery, relays, NAT or reports."""

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path
from xml.etree import ElementTree as ET

from node_pair import end, wait_for

_OFF = {
    "globalAnnounceEnabled": "false",
    "localAnnounceEnabled": "false",
    "relaysEnabled": "false",
    "natEnabled": "false",
    "startBrowser": "false",
    "crashReportingEnabled": "false",
    "setLowPriority": "false",
    "announceLANAddresses": "false",
    "autoUpgradeIntervalH": "0",
    "urAccepted": "-1",
    "stunServer": "",
    "reconnectionIntervalS": "1",
}


class Syncthing:
    """One process; the ports are free because the namespace is ours."""

    def __init__(self, scratch: Path, name: str, number: int) -> None:
        self.home, self.folder = scratch / f"syncthing-{name}", scratch / f"syncthing-{name}-folder"
        self.gui, self.listen = f"127.0.0.1:{8400 + number}", f"tcp://127.0.0.1:{22400 + number}"
        self.process: subprocess.Popen[bytes] | None = None
        # STMONITORED: one process, without the one that starts it again.
        self._environment = {**os.environ, "HOME": str(scratch), "STNOUPGRADE": "1", "STMONITORED": "1"}
        self.folder.mkdir()
        (self.folder / ".stfolder").mkdir()
        subprocess.run(
            ["syncthing", "generate", f"--home={self.home}", "--no-default-folder"],
            env=self._environment, check=True, capture_output=True,
        )  # fmt: skip
        self._config = ET.parse(self.home / "config.xml")
        root = self._config.getroot()
        self.id = root.find("device").get("id")
        self._key = root.find("gui/apikey").text

    @property
    def pid(self) -> int:
        return self.process.pid

    def configure(self, other: "Syncthing", delay_s: int) -> None:
        root = self._config.getroot()
        options = root.find("options")
        for name, value in {**_OFF, "listenAddress": self.listen}.items():
            found = options.find(name)
            (ET.SubElement(options, name) if found is None else found).text = value
        root.find("gui/address").text = self.gui
        device = ET.SubElement(root, "device", id=other.id, name="other", compression="metadata")
        ET.SubElement(device, "address").text = other.listen
        folder = ET.SubElement(
            root, "folder", id="bench", path=str(self.folder), type="sendreceive", rescanIntervalS="3600",
            fsWatcherEnabled="true", fsWatcherDelayS=str(delay_s),
        )  # fmt: skip
        for identifier in (self.id, other.id):
            ET.SubElement(folder, "device", id=identifier)
        ET.SubElement(folder, "filesystemType").text = "basic"
        ET.SubElement(folder, "markerName").text = ".stfolder"
        self._config.write(self.home / "config.xml")

    def start(self) -> float:
        """Start it; seconds from the start of the process to the first answer of its REST interface."""
        began = time.perf_counter()
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["syncthing", "serve", "--no-browser", "--no-restart", f"--home={self.home}"],
                env=self._environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_for(self._answers, 60, "Syncthing's REST interface", 0.005)
        return time.perf_counter() - began

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None

    def rest(self, path: str, data: bytes | None = None):
        request = urllib.request.Request(f"http://{self.gui}/rest/{path}", data, {"X-API-Key": self._key})
        with urllib.request.urlopen(request, timeout=300) as answer:
            body = answer.read()
        return json.loads(body) if body.strip() else None

    def ready(self) -> bool:
        connections = self.rest("system/connections")["connections"].values()
        return any(one["connected"] for one in connections) and self.rest("db/status?folder=bench")["state"] == "idle"

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError((self.home / "log").read_text()[-2000:])
        try:
            self.rest("system/ping")
        except OSError:
            return False
        return True


class SyncthingPair:
    """A and B, connected."""

    name = "syncthing"

    def __init__(self, scratch: Path, delay_s: int = 10) -> None:
        self.a, self.b = Syncthing(scratch, "a", 1), Syncthing(scratch, "b", 2)
        self.a.configure(self.b, delay_s)
        self.b.configure(self.a, delay_s)
        self.startup_s: list[float] = []

    def open(self) -> None:
        for side in (self.a, self.b):
            self.startup_s.append(side.start())
        self.wait_connected()

    def wait_connected(self) -> None:
        wait_for(lambda: self.a.ready() and self.b.ready(), 120, "the two to connect")

    def placed(self) -> None:
        """Scan at once: otherwise the figure is the delay of its watcher."""
        self.a.rest("db/scan?folder=bench", b"")

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
        return "\n".join((side.home / "log").read_text()[-1000:] for side in (self.a, self.b))
