"""The command line: one file per command. This file puts them together and turns errors into exit codes.

Exit codes: 0 · 1 some deployment failed · 2 bad input, nothing was started · 3 nothing runs · 130 Ctrl-C.
Only the file of the command that was typed is imported, and its body imports the rest: `argosy --help` stays quick.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import typer

from argosy.errors import ArgosyError

# Name → file, and its line in `argosy --help`.
_COMMANDS = {
    "up": ("up", "Serve what a fleet file asks for, or the models that are named."),
    "ps": ("ps", "Show deployments and replicas, their state and its reason."),
    "top": ("top", "Watch the fleet: requests, tokens, memory, live."),
    "logs": ("logs", "Show the log of a deployment, the gateway or the controller."),
    "plan": ("plan", "Show where every replica would run, and what `up` would change; start nothing."),
    "devices": ("devices", "Show this machine's GPUs, cores and memory, and who uses them."),
    "check": ("check_command", "Find every fault in a fleet file; start nothing."),
    "stop": ("stop", "Stop all, the gateway, the workers or one deployment; what runs finishes."),
    "start": ("change", "Start what was stopped, or a replica that was drained."),
    "scale": ("change", "Give a deployment more or fewer replicas."),
    "restart": ("change", "Replace every replica of a deployment, one after the other."),
    "drain": ("change", "Take one replica out: it finishes, then ends."),
    "down": ("down", "Stop a fleet and all it started."),
    "key": ("key", "Make, show and remove client keys."),
    "chat": ("chat", "Talk to a model."),
    "pull": ("pull", "Fetch models before they are needed."),
    "models": ("models", "Show the models with a short name, and the weights that were fetched."),
    "rm": ("rm", "Remove fetched weights."),
    "env": ("env", "Show, build and remove the Python environments of engines."),
    "doctor": ("doctor", "Look for what is wrong with this machine and its fleets."),
    "gateway": ("gateway", "Serve only a gateway; workers join it."),
    "worker": ("worker", "Serve one replica and join it to gateways."),
    "controller": ("controller", ""),
    "fastchat": ("fastchat", ""),
}
_TAKES_A_NUMBER = {"scale"}


def application(words: Sequence[str]) -> typer.Typer:
    """`words`: what was typed after `argosy`."""
    app = typer.Typer(
        name="argosy",
        help="Many language models on your machines behind one OpenAI-compatible door.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    typed = next((word for word in words if not word.startswith("-")), None)
    for name, (file, summary) in _COMMANDS.items():
        command = getattr(importlib.import_module(f"argosy.cli.{file}"), name) if name == typed else _not_typed
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, short_help=summary)
        else:
            # There "-1" is a number, which the command refuses in a sentence, and no unknown option.
            settings = {"ignore_unknown_options": name in _TAKES_A_NUMBER}
            app.command(name, short_help=summary, hidden=not summary, context_settings=settings)(command)
    return app


def main() -> None:
    """The console entry."""
    try:
        application(sys.argv[1:])()
    except ArgosyError as error:
        print(f"argosy: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `argosy logs … | head`
        sys.stderr.close()
        sys.exit(0)


def _not_typed() -> None:
    """Stands for a command that is only listed."""
    raise AssertionError("another command was typed")
