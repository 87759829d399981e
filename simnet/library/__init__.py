"""Ready scenarios, each a TOML file whose comments say what to look at; `load(name)` reads one."""

from .shelf import load, names, text

__all__ = ["load", "names", "text"]
