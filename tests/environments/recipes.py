"""The environments that these tests run in. `python tests/environments/recipes.py` exits with 0 where all are built."""

from __future__ import annotations

import os
import sys

from argosy.config.environment import Environment
from argosy.config.recipe import EnvironmentRecipe
from argosy.engines import transformers, vllm
from argosy.environments.cache import EnvironmentCache

# What ChatGLM2 wants; its own code needs sentencepiece, and torch and numpy are those of today that still go with it.
OLD_TRANSFORMERS = EnvironmentRecipe(requirements=("transformers==4.33.0", "torch==2.13.0", "sentencepiece", "numpy<2"))
ALL = (transformers.ENVIRONMENT, vllm.CPU_ENVIRONMENT, OLD_TRANSFORMERS)

if __name__ == "__main__":
    cache = EnvironmentCache(Environment.read(os.environ).cache / "environments")
    sys.exit(not all(cache.find(recipe) for recipe in ALL))
