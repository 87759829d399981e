"""Golden files in tests/vectors; `LATTICE_WRITE_VECTORS=1` writes them anew, which is a change of format."""

import json
import os
from pathlib import Path

VECTORS = Path(__file__).parent.parent / "vectors"

type Json = str | int | bool | list[Json] | dict[str, Json]


def golden(name: str, actual: dict[str, Json]) -> dict[str, Json]:
    """What the file holds; `actual` is written first if asked for."""
    path = VECTORS / f"{name}.json"
    if os.environ.get("LATTICE_WRITE_VECTORS"):
        path.write_text(json.dumps(actual, indent=2) + "\n")
    stored: dict[str, Json] = json.loads(path.read_text())
    return stored
