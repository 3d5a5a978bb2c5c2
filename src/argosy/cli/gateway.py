"""`argosy gateway`: only a door, in the foreground: its remote deployments, and whatever workers join it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argosy.config.environment import Environment
    from argosy.config.schema import Fleet
    from argosy.state import FleetFolder


def gateway(
    file: Annotated[
        Path | None, typer.Argument(help="A fleet file; of its deployments only remote ones are served.")
    ] = None,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of the file's.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port, instead of the file's.")] = None,
    fleet: Annotated[str | None, typer.Option("--fleet", "--name", help="The fleet's name.")] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="File with client keys, one a line.")] = None,
    admin_key_file: Annotated[
        Path | None, typer.Option(help="File with the admin key (else ARGOSY_ADMIN_KEY).")
    ] = None,
    join_token_file: Annotated[
        Path | None, typer.Option(help="File with the join token (else ARGOSY_JOIN_TOKEN).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(hidden=True, help="Of the fleet, when its controller starts us.")
    ] = None,
) -> None:
    """Serve a gateway without a fleet; workers join it with `argosy worker --join`."""
    from argosy.app.gateway import run_fleet_gateway
    from argosy.cli.fleets import read_environment
    from argosy.state import FleetFolder

    environment = read_environment()
    if folder is not None:
        raise typer.Exit(run_fleet_gateway(FleetFolder(folder), environment, port=port))
    wanted = served_alone(file, fleet, environment)
    changes = {"host": host, "port": port, "api_key_file": str(api_key_file.absolute()) if api_key_file else None}
    given = {field: value for field, value in changes.items() if value is not None}
    wanted = wanted.model_copy(update={"gateway": wanted.gateway.model_copy(update=given)})
    raise typer.Exit(_serve(wanted, _with_secrets(environment, admin_key_file, join_token_file)))


def _with_secrets(environment: Environment, admin_key: Path | None, join_token: Path | None) -> Environment:
    from argosy.cli.fleets import read_secret

    if admin_key is not None:
        environment = replace(environment, admin_key=read_secret(admin_key))
    if join_token is not None:
        environment = replace(environment, join_token=read_secret(join_token))
    return environment


def served_alone(file: Path | None, name: str | None, environment: Environment) -> Fleet:
    """What a gateway without a fleet has of a file. Raises FleetFileError, InputError."""
    from argosy.cli.fleets import fleet_folder
    from argosy.config.load import load_fleet
    from argosy.config.schema import Fleet

    wanted = Fleet() if file is None else load_fleet(file, environment)
    # Nobody starts the others here: a door that knew them would list them and wait for replicas that never come.
    remote = {name: each for name, each in wanted.deployments.items() if each.engine_name == "remote"}
    wanted = wanted.model_copy(update={"deployments": remote})
    if name is None:
        return wanted
    fleet_folder(environment, name)  # checks it
    return wanted.model_copy(update={"name": name})


def _serve(wanted: Fleet, environment: Environment) -> int:
    import time
    from dataclasses import replace

    from argosy.app.gateway import run_gateway
    from argosy.app.settings import gateway_settings, make_client_key
    from argosy.cli.fleets import fleet_folder
    from argosy.errors import InputError
    from argosy.fleet.observer import runs
    from argosy.fleet.port import check_port
    from argosy.state import Home

    folder = fleet_folder(environment, wanted.name)
    if runs(folder):
        raise InputError(f"fleet {wanted.name} runs already: give this gateway another name with --name")
    check_port(wanted.gateway.host, wanted.gateway.port, Home(environment.home))
    if (made := make_client_key(wanted, folder, environment)) is not None:
        print(f"client key (made just now, shown once): {made}", flush=True)
    for name, given in (("admin_key", environment.admin_key), ("join_token", environment.join_token)):
        if given is not None:
            folder.set_secret(name, given)  # so that commands on this machine find it
    folder.table.unlink(missing_ok=True)  # of an earlier fleet with this name
    settings = gateway_settings(wanted, folder, environment, revision=time.time_ns() // 1_000_000)
    settings = replace(settings, fastchat=wanted.fastchat)

    def tell(address: str) -> None:
        print(f"gateway: {address}/v1 (fleet {wanted.name}; Ctrl-C stops it)", flush=True)
        print(join_line(address, wanted.gateway.host, folder), flush=True)

    return run_gateway(settings, folder, environment, tell)


def join_line(address: str, host: str, folder: FleetFolder) -> str:
    """How workers join: from this machine, and from others where the door is open to them.

    Another machine's worker needs a copy of the token: its file is named here, and what is in it is shown nowhere.
    """
    from argosy.wire.origin import outward_address, split_url

    here = f"  argosy worker SOURCE --join {address}"
    door, _ = split_url(address)
    wildcard = host.strip("[]") in ("0.0.0.0", "::")  # noqa: S104
    outward = outward_address() if wildcard else host.strip("[]")
    if outward is None or (not wildcard and door.host in ("127.0.0.1", "::1", "localhost")):
        return here
    there = replace(door, host=outward)
    return (
        f"{here}\n  from another machine: argosy worker SOURCE --join {there} --join-token-file FILE"
        f"\n  (FILE: a copy of {folder.secret_file('join_token')})"
    )
