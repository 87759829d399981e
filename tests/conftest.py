"""How hard Hypothesis tries: enough to notice in the default run, harder where somebody asks for it.

HYPOTHESIS_PROFILE=thorough uv run --group test pytest tests/crdt
"""

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=40)
settings.register_profile("thorough", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
