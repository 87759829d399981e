"""Tier V: floods and epidemics on up to millions of nodes, computed with numpy; needs the extra `sim`.

Nodes have no code here: what follows from a mesh and from chance alone is computed for all of them at once, and equals
what the other tiers do node by node.
"""

from .buckets import UNREACHED
from .chance import Seed, generator
from .dissemination import Dissemination, Loss, Uplink, disseminate, disseminate_in_blocks
from .epidemic import infect_and_die, push_pull_rounds, push_rounds
from .graphs import Mesh, mesh_from_edges, node_regions, random_mesh

__all__ = [
    "UNREACHED",
    "Dissemination",
    "Loss",
    "Mesh",
    "Seed",
    "Uplink",
    "disseminate",
    "disseminate_in_blocks",
    "generator",
    "infect_and_die",
    "mesh_from_edges",
    "node_regions",
    "push_pull_rounds",
    "push_rounds",
    "random_mesh",
]
