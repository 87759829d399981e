"""Optional libraries: a run needs none of them, so they are looked for where they are used first."""

import importlib

from latticework.wire import LocalError


def need(extra: str, *modules: str) -> None:
    """Check that the modules of an extra are there; raises LocalError that says how to install them."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as missing:
            told = f'this needs {module.partition(".")[0]}: pip install "latticework[{extra}]"'
            raise LocalError(told) from missing
