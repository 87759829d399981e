"""Checks of the machines against figures that theory or papers give (simnet report, part 2)."""

from .check import Check
from .suite import checks

__all__ = ["Check", "checks"]
