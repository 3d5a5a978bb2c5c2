"""`argosy worker SOURCE --join URL`: one replica started by hand, in the foreground, joining one or more gateways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from argosy.config.environment import Environment
    from argosy.protocol.replica import FastChatSettings, JoinSettings
    from argosy.state import FleetFolder


def worker(
    source: Annotated[str | None, typer.Argument(help="A model: catalog name or path.")] = None,
    *,
    join: Annotated[list[str] | None, typer.Option(help="A gateway's URL; may be given again.")] = None,
    name: Annotated[str | None, typer.Option(help="The deployment's name (default: from the source).")] = None,
    aliases: Annotated[
        list[str] | None,
        typer.Option("--aliases", "--alias", help="Other names clients may send: a,b; may be given again."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="llama.cpp, vllm, transformers, command, echo, or sglang (untested on hardware).")
    ] = None,
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help="KEY=VALUE for the engine.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests in flight (default: the engine's slots).")
    ] = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs that it sees, such as 2 or 2,3 (argosy devices).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu: it sees no GPU; gpu: it must have one.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Where gateways reach this worker (default: a free one).")
    ] = None,
    advertise: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="HOST or HOST:PORT by which gateways reach this worker, where that is none of this machine's own"
            " (containers, port forwarding; default: the interface towards each gateway).",
        ),
    ] = None,
    join_token_file: Annotated[
        Path | None, typer.Option(help="The gateways' join token; on a gateway's own machine it is found by itself.")
    ] = None,
    fastchat_controller: Annotated[
        str | None, typer.Option(metavar="URL", help="An old FastChat controller to register at, too or alone.")
    ] = None,
    fastchat_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where FastChat's processes reach this worker (default: a free one).")
    ] = 0,
    fastchat_address: Annotated[
        str | None, typer.Option(metavar="URL", help="What the old controller is told, where that cannot be derived.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(hidden=True, help="What a controller starts us with.")] = None,
) -> None:
    """Serve one replica and join it to gateways; Ctrl-C lets running requests finish, then stops it."""
    from argosy.app.worker import run_worker
    from argosy.cli.fleets import read_environment
    from argosy.config.gpus import indices_of
    from argosy.errors import InputError
    from argosy.protocol.replica import FastChatSettings, JoinSettings

    environment = read_environment()
    if spec is not None:
        raise typer.Exit(run_worker(spec, environment))
    if not join and not fastchat_controller:
        raise InputError("a worker needs a gateway: --join http://HOST:PORT (`argosy gateway` starts one)")
    gateways = list(dict.fromkeys(_gateway(url) for url in join or ()))
    config: dict[str, Any] = {
        "source": source,
        "engine": engine,
        "aliases": [each.strip() for given in aliases or [] for each in given.split(",")],
        "options": dict(_option(each) for each in option or []),
        "concurrency": concurrency,
        "gpus": indices_of(gpus) if gpus is not None else None,
        "device": device,
    }
    settings = JoinSettings(port=port or 0, advertise=advertised(advertise))
    old = None
    if fastchat_controller:
        told = _url(fastchat_address, "--fastchat-address") if fastchat_address else None
        controller = _url(fastchat_controller, "--fastchat-controller")
        old = FastChatSettings(controller=controller, port=fastchat_port, advertise=told)
    given = {key: value for key, value in config.items() if value}
    raise typer.Exit(_run(name, given, gateways, settings, old, token_file=join_token_file, environment=environment))


def _run(
    name: str | None,
    config: dict[str, Any],
    gateways: list[str],
    settings: JoinSettings,
    old: FastChatSettings | None,
    *,
    token_file: Path | None,
    environment: Environment,
) -> int:
    import dataclasses
    import secrets
    import shutil
    import time

    from argosy.app.worker import run_worker
    from argosy.cli.fleets import fleet_folder
    from argosy.config.load import deployment_record
    from argosy.config.schema import Fleet
    from argosy.fleet.outlook import place_by_hand
    from argosy.fleet.planner import config_of
    from argosy.processes.identity import ProcessIdentity
    from argosy.protocol.replica import ReplicaSpec
    from argosy.state import ProcessRecord, write_json

    name, deployment = _deployment(name, config, environment)
    if gateways or old is None:
        folder, token = _folder_and_token(gateways, token_file, environment)
    else:  # nobody hears its heartbeats: its engine's key is made of a secret of its own
        folder = fleet_folder(environment, f"joined-{_known_by([old.controller])}")
        token = folder.make_secret("join_token")
    replica = f"{name}.{secrets.token_hex(3)}"
    files = folder.replica(replica)
    write_json(
        files.spec,
        ReplicaSpec(
            id=replica,
            generation=1,
            deployment=deployment_record(name, deployment, revision=time.time_ns() // 1_000_000),
            config=config_of(deployment),
            gateways=gateways,
            grace_seconds=Fleet().grace,
            devices=place_by_hand(replica, name, deployment, environment),
            join=settings if gateways else None,
            fastchat=old,
        ),
    )
    write_json(files.process, ProcessRecord(identity=ProcessIdentity.own()))  # `argosy stop` finds it by this
    log = folder.log(replica)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    joined = [*gateways, *([old.controller] if old else [])]
    print(f"worker {replica}: joining {', '.join(joined)} (its log: {log})", flush=True)
    try:
        return run_worker(files.spec, dataclasses.replace(environment, join_token=token), log=log)
    finally:
        shutil.rmtree(files.root, ignore_errors=True)


def _deployment(name: str | None, config: dict[str, Any], environment: Environment) -> tuple[str, Any]:
    """Checked as a fleet file is. Raises InputError with every fault."""
    from argosy.config.load import check_fleet, fleet_of_sources
    from argosy.errors import InputError

    if name is None and "source" in config:
        name = next(iter(fleet_of_sources([config["source"]], environment).deployments))
    if name is None:
        raise InputError("which model? Name a SOURCE, or an --engine without one and its --name")
    if "source" in config and Path(config["source"]).exists():
        config["source"] = str(Path(config["source"]).absolute())
    fleet = check_fleet({"name": "joined", "deployments": {name: config}}, environment, file="the command line")
    deployment = fleet.deployments[name]
    if deployment.engine_name == "remote":
        raise InputError("engine remote has no worker: put it into the gateway's fleet file")
    return name, deployment


def _folder_and_token(
    gateways: list[str], token_file: Path | None, environment: Environment
) -> tuple[FleetFolder, str]:
    """Where this replica's state lies, and what signs its heartbeats. Raises InputError without a token."""
    from argosy.cli.fleets import fleet_folder, read_secret
    from argosy.errors import InputError

    folder = _local_fleet(gateways, environment)
    token = read_secret(token_file) if token_file is not None else None
    token = token or environment.join_token or (folder.secret("join_token") if folder else None)
    if not token:
        raise InputError(
            f"no join token for {' '.join(gateways)}: give --join-token-file or ARGOSY_JOIN_TOKEN (the gateway's"
            " machine has it: `argosy gateway` says in which file)"
        )
    return folder or fleet_folder(environment, f"joined-{_known_by(gateways)}"), token


def _known_by(urls: list[str]) -> str:
    import hashlib

    return hashlib.sha256(" ".join(sorted(urls)).encode()).hexdigest()[:8]


def _local_fleet(gateways: list[str], environment: Environment) -> FleetFolder | None:
    """The fleet of this machine whose gateway one of them is, by whatever name or address of this machine."""
    from argosy.state import Home, ProcessRecord, read_json
    from argosy.wire.origin import split_url

    here = {(origin.scheme, origin.port) for origin, _ in map(split_url, gateways) if _is_this_machine(origin.host)}
    for folder in Home(environment.home).fleets():
        record = read_json(folder.gateway, ProcessRecord)
        if record is not None and record.address is not None and record.identity.alive:
            own, _ = split_url(record.address)
            if (own.scheme, own.port) in here:
                return folder
    return None


def _is_this_machine(host: str) -> bool:
    import socket

    from argosy.wire.origin import is_own

    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:  # its name is not known: the worker says so, and asks again
        return False
    return any(is_own(address) for address in found)


def _gateway(url: str) -> str:
    """Its address as it names itself. Raises InputError."""
    from argosy.config.values import check_url
    from argosy.errors import InputError

    try:
        return check_url(url).removesuffix("/v1")
    except ValueError:
        raise InputError(f"--join {url}: write a gateway's URL, such as http://127.0.0.1:8000") from None


def advertised(address: str | None) -> str | None:
    """As a URL with or without a port. Raises InputError."""
    from argosy.config.values import check_url
    from argosy.errors import InputError

    if address is None:
        return None
    bare = address.count(":") > 1 and not address.startswith(("[", "http"))  # an IPv6 address as it stands
    url = address if "://" in address else f"http://[{address}]" if bare else f"http://{address}"
    try:
        checked = check_url(url)
    except ValueError:
        checked = ""
    if not checked.startswith("http://") or "/" in checked.removeprefix("http://"):
        raise InputError(
            f"--advertise {address}: write HOST or HOST:PORT by which gateways reach this worker, such as"
            " 10.0.0.5:21002 (it is spoken to by plain HTTP)"
        )
    return checked


def _url(text: str, flag: str) -> str:
    """http://HOST:PORT. Raises InputError."""
    from argosy.errors import InputError
    from argosy.wire.origin import split_url

    origin, path = split_url(text)
    if path.rstrip("/"):
        raise InputError(f"{flag} {text}: write http://HOST:PORT, without a path")
    return str(origin)


def _option(text: str) -> tuple[str, object]:
    import yaml

    from argosy.errors import InputError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"--option {text}: write KEY=VALUE")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        trouble = getattr(error, "problem", None) or str(error)
        raise InputError(
            f"--option {text}: its value cannot be read as YAML ({trouble}); put a text in quotes"
        ) from None
