"""`argosy chat`: a question to a model through a gateway, answered as it comes; without one, a conversation."""

from __future__ import annotations

from typing import Annotated

import typer


def chat(
    model: Annotated[str | None, typer.Argument(help="A model (default: the only one there is).")] = None,
    question: Annotated[str | None, typer.Argument(help="Asked once; without it, lines are read.")] = None,
    url: Annotated[
        str | None, typer.Option(help="A gateway (default: ARGOSY_URL, OPENAI_BASE_URL, your fleet's).")
    ] = None,
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")] = None,
) -> None:
    """Talk to a model. Ctrl-C stops an answer; /exit or the end of input ends the conversation."""
    import sys

    from argosy.cli.conversation import Conversation, Door, converse
    from argosy.cli.fleets import read_environment, running_fleet
    from argosy.errors import NotRunningError
    from argosy.fleet.observer import gateway_of
    from argosy.state import Home
    from argosy.wire.tls import fleet_pins

    environment = read_environment()
    base, key = url or (environment.url if fleet is None else None), environment.client_key()
    if base is None:
        folder = running_fleet(environment, fleet)
        record = gateway_of(folder)
        if record is None or record.address is None:
            raise NotRunningError(f"the gateway of fleet {folder.name} does not run (argosy ps)")
        base = record.address
        # A key of OPENAI_API_KEY belongs to another door; the fleet's own fits here.
        key = (environment.api_keys[0] if environment.api_keys else None) or folder.secret("client_key") or key
    piped = None
    if question is None and not sys.stdin.isatty():
        piped = sys.stdin.read().strip()
    pins = fleet_pins(*Home(environment.home).fleets())
    door = Door(base, key, proxies=environment.variables if url or environment.url else None, pins=pins)
    with door:
        model, question = door.choose(model, question or piped)
        conversation = Conversation(door, model)
        if question is not None:
            conversation.ask(question)
        else:
            converse(conversation)
