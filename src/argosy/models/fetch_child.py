"""Fetches on a leash: `python -m argosy.models.fetch_child FOLDER SOURCE ENDPOINT` for one hub repository or URL.

A process of its own: the hubs' libraries block, cannot be cancelled, read the environment when they are imported and
are too heavy for a worker. It tells what it does in JSON lines (Plan, then Fetched or Failed) and ends with its owner.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import msgspec

from argosy.errors import SourceError
from argosy.models import huggingface, modelscope, web
from argosy.models.fetching import DiskFullError, Failed, Fetched, Plan, Tell, writing
from argosy.models.sources import HubSource, UrlSource, parse
from argosy.processes.leash import die_with_the_owner


def main() -> None:
    folder, source, endpoint = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    die_with_the_owner()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer

    def tell(message: Plan | Fetched | Failed) -> None:
        answers.write(msgspec.json.encode(message) + b"\n")
        answers.flush()

    # Held until this process is gone: the next one never writes beside one that is still dying.
    with (folder / "writing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            files = folder / "files"
            files.mkdir(exist_ok=True)
            tell(_fetch(source, files, tell, endpoint=endpoint))
        except SourceError as error:
            tell(Failed(str(error), permanent=error.permanent, discard=isinstance(error, DiskFullError)))
        except OSError as error:
            failure = writing(folder, error)
            tell(Failed(str(failure), discard=isinstance(failure, DiskFullError)))


def _fetch(source: str, folder: Path, tell: Tell, *, endpoint: str) -> Fetched:
    match parse(source):
        case HubSource(hub="hf") as repository:
            return huggingface.fetch(repository, folder, tell, endpoint=endpoint)
        case HubSource() as repository:
            return modelscope.fetch(repository, folder, tell, endpoint=endpoint)
        case UrlSource() as file:
            return web.fetch(file, folder, tell)
        case other:
            raise AssertionError(f"{other} is fetched elsewhere")


if __name__ == "__main__":
    main()
