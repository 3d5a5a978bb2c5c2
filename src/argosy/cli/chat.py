"""`argosy chat`: a question to a model through a gateway, answered as it comes; without one, a conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def chat(
    model: Annotated[str | None, typer.Argument(help="A model (default: the only one there is).")] = None,
    question: Annotated[str | None, typer.Argument(help="Asked once; what is piped in stands below it.")] = None,
    *,
    url: Annotated[
        str | None, typer.Option(help="A gateway (default: ARGOSY_URL, OPENAI_BASE_URL, your fleet's).")
    ] = None,
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")] = None,
    source: Annotated[
        str | None, typer.Option(help="A model to serve for this chat alone: whatever `argosy up` takes.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="temperature=0.3, max_tokens=100 …")
    ] = None,
    load: Annotated[Path | None, typer.Option(help="Go on with a saved conversation, FastChat's too.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Text as it comes, no Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One answer as JSON, with its figures.")] = False,
    multiline: Annotated[bool, typer.Option("--multiline", help="Enter begins a new line, Alt-Enter sends.")] = False,
    no_history: Annotated[bool, typer.Option("--no-history", help="Remember nothing of what is typed.")] = False,
) -> None:
    """Talk to a model. Ctrl-C stops an answer; /help tells what else there is, Ctrl-D leaves."""
    import asyncio

    from argosy.chat import saved
    from argosy.chat.conversation import Conversation
    from argosy.chat.settings import parse_setting
    from argosy.cli.fleets import read_environment
    from argosy.cli.talk import Ended, Talk, with_piped
    from argosy.errors import InputError

    if source is not None:
        if url is not None or fleet is not None:
            raise InputError("--source serves a model for this chat alone: leave out --url and --fleet")
        if question is None:
            model, question = None, model  # there is only one model to name
    conversation = Conversation("")
    if load is not None:
        conversation.load(*saved.read(load))
    conversation.system = system or conversation.system
    for each in settings or []:
        name, _, value = (part.strip() for part in each.partition("="))
        conversation.settings[name] = parse_setting(name, value)
    question = with_piped(question)
    if question is None and as_json:
        raise InputError("--json answers one question: name it, or pipe it in")
    environment = read_environment()
    talk = Talk(environment, conversation, url, fleet, source, plain, as_json, multiline, no_history)
    try:
        asyncio.run(talk.run(model, question))
    except Ended as ended:
        raise typer.Exit(128 + ended.number) from None
