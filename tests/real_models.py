"""Real models for tests: from the folder in ARGOSY_TEST_MODELS, else from Argosy's own cache, fetched once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from argosy.config.environment import Environment
from argosy.models.catalog import CATALOG
from argosy.models.resolve import resolve


def weights(model: str) -> Path:
    """`model`: a name of the catalog."""
    given = os.environ.get("ARGOSY_TEST_MODELS")
    if given and (found := Path(given, CATALOG[model].file)).is_file():
        return found
    cache = Path(given) if given else Environment.read(os.environ).cache
    return resolve(model, cache=cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ)
