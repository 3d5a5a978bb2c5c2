"""Fetches from the Hugging Face hub, by huggingface_hub: its listing, its credentials, its transfer. Runs in the child.

`hf_hub_download` starts anew when its process was killed; its transfer function goes on from a given byte, so that is
what is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from argosy.errors import SourceError
from argosy.models.fetching import Fetched, Tell, fetch_all, writing
from argosy.models.selection import RepoFile, choose
from argosy.models.sources import REVISIONS, HubSource

_LISTING_SECONDS = 20.0


def fetch(source: HubSource, folder: Path, tell: Tell, *, endpoint: str) -> Fetched:
    """Raises SourceError."""
    from huggingface_hub import HfApi, constants, hf_hub_url  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415
    from huggingface_hub.file_download import http_get  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # noqa: PLC0415

    # The base of its HTTP library's errors: which library that is changes with the version.
    broken = cast("type[Exception]", HfHubHTTPError.__mro__[1])
    revision = source.revision or REVISIONS["hf"]
    try:
        info = HfApi(endpoint=endpoint).model_info(
            source.repo, revision=revision, files_metadata=True, timeout=_LISTING_SECONDS
        )
    except (broken, OSError) as error:
        raise _told(source, endpoint, error) from error
    commit = info.sha or revision
    files = [
        RepoFile(
            each.rfilename,
            each.size,
            each.lfs.sha256 if each.lfs else None,
            version=each.blob_id or commit,
        )
        for each in info.siblings or []
    ]
    constants.DOWNLOAD_CHUNK_SIZE = 1 << 18  # of its blocks of 10 MB a slow line that is cut loses minutes
    headers = build_hf_headers(library_name="argosy")
    headers["Accept-Encoding"] = "identity"  # a packed answer cannot be gone on with from a byte

    def get(file: RepoFile, part: Path) -> None:
        try:
            content = part.open("ab")
        except OSError as error:
            raise writing(part, error) from error
        url = hf_hub_url(source.repo, file.path, revision=commit, endpoint=endpoint)
        with content:
            try:
                http_get(url, content, resume_size=content.tell(), headers=headers, expected_size=file.size_bytes)
            except HfHubHTTPError as error:
                if error.response.status_code == 416:  # more is here than the hub has: nothing to go on with
                    part.unlink()
                raise _told(source, endpoint, error) from error
            except broken as error:
                raise _told(source, endpoint, error) from error
            except OSError as error:  # one of its own without a number: less came than was announced
                raise (writing(part, error) if error.errno else _told(source, endpoint, error)) from error
            except ValueError as error:  # its way over HTTP ends at 50 GB
                raise SourceError(f"{file.path} cannot be fetched: {error}", permanent=True) from error

    return fetch_all(choose(files, source.wanted, repository=f"hf:{source.repo}"), folder, get, tell)


def _told(source: HubSource, endpoint: str, error: Exception) -> SourceError:
    from huggingface_hub import get_token  # noqa: PLC0415
    from huggingface_hub.errors import (  # noqa: PLC0415
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page, host = f"{endpoint}/{source.repo}", endpoint.rsplit("://", maxsplit=1)[-1]
    token = get_token()
    if isinstance(error, GatedRepoError):
        cure = (
            "the account of your HF_TOKEN has not: ask there"
            if token
            else f"then set HF_TOKEN to a token of that account ({endpoint}/settings/tokens)"
        )
        return SourceError(f"{source.repo} is gated: accept its licence at {page}, {cure}", permanent=True)
    if isinstance(error, RepositoryNotFoundError):
        cure = "your HF_TOKEN may not see it" if token else "a private one needs HF_TOKEN"
        return SourceError(f"{host} has no model {source.repo}: check the spelling; {cure}", permanent=True)
    if isinstance(error, RevisionNotFoundError):
        return SourceError(
            f"{source.repo} has no revision {source.revision or REVISIONS['hf']!r}; {page}/tree/main shows them",
            permanent=True,
        )
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return SourceError(
                f"{host} does not take your HF_TOKEN: make another at {endpoint}/settings/tokens, or unset it",
                permanent=True,
            )
        said = error.server_message or f"HTTP {status}"
        retry = "; it goes on from there next time" if status >= 500 or status == 429 else ""
        return SourceError(
            f"{host} refuses {source.repo}: {said}{retry}", permanent=400 <= status < 500 and status != 429
        )
    return SourceError(
        f"the connection to {host} broke ({str(error) or type(error).__name__}); what is here is kept, the next try "
        "goes on from there. Where it is slow, set HF_ENDPOINT to a mirror"
    )
