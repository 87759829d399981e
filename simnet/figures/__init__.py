"""Results as files and as figures that a paper could use; needs the extra `sim` where it writes or draws.

numpy and matplotlib are imported by the functions that need them, since runs must not and the latter takes half a
second.
"""

from .intervals import Interval, mean_interval
from .plots import Format, plot_all, plot_many, plot_sweep
from .tables import load, save

__all__ = ["Format", "Interval", "load", "mean_interval", "plot_all", "plot_many", "plot_sweep", "save"]
