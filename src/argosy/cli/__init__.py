"""The command line: one file per command. This file puts them together and turns errors into exit codes.

Exit codes: 0 · 1 some deployment failed · 2 bad input, nothing was started · 3 nothing runs · 130 Ctrl-C.
A command's body imports what it needs when it runs, so that `argosy --help` stays quick.
"""

from __future__ import annotations

import sys

import typer

from argosy.cli.chat import chat
from argosy.cli.check_command import check
from argosy.cli.controller import controller
from argosy.cli.down import down
from argosy.cli.gateway import gateway
from argosy.cli.logs import logs
from argosy.cli.ps import ps
from argosy.cli.start_stop import start, stop
from argosy.cli.up import up
from argosy.cli.worker import worker
from argosy.errors import ArgosyError


def application() -> typer.Typer:
    app = typer.Typer(
        name="argosy",
        help="Many language models on your machines behind one OpenAI-compatible door.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in (up, ps, logs, check, stop, start, down, chat, gateway, worker):
        app.command()(command)
    app.command(hidden=True)(controller)
    return app


def main() -> None:
    """The console entry."""
    try:
        application()()
    except ArgosyError as error:
        print(f"argosy: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `argosy logs … | head`
        sys.stderr.close()
        sys.exit(0)
