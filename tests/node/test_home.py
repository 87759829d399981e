import os
from pathlib import Path

import platformdirs
import pytest

from latticework.node.home import Home
from latticework.wire import LocalError

pytestmark = pytest.mark.unit
DEEP = Path("/", *(["deep" * 10] * 4))
LONGEST_ADDRESS_BYTES = 107


def test_the_socket_is_in_the_home_unless_its_path_is_too_long_for_one() -> None:
    assert Home(Path("/home/x/.local/state/latticework")).socket.name == "control.sock"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        deep, other = Home(DEEP).socket, Home(DEEP / "other").socket
    assert deep != other
    assert DEEP not in deep.parents
    assert len(os.fsencode(deep)) <= LONGEST_ADDRESS_BYTES


def test_a_runtime_directory_that_others_could_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Path:
        raise PermissionError(f"{name} is a symlink")

    monkeypatch.setattr(platformdirs, "user_runtime_path", refuse)
    with pytest.raises(LocalError, match="no private directory"):
        _ = Home(DEEP).socket
