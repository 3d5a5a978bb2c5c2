"""Fetches from ModelScope, by modelscope_hub: its listing, its credentials, its transfer. Runs in the child."""

from __future__ import annotations

from pathlib import Path

from argosy.errors import SourceError
from argosy.models.fetching import Fetched, Tell, fetch_all, writing
from argosy.models.selection import RepoFile, choose
from argosy.models.sources import REVISIONS, HubSource


def fetch(source: HubSource, folder: Path, tell: Tell, *, endpoint: str) -> Fetched:
    """Raises SourceError."""
    from modelscope_hub import HubApi  # noqa: PLC0415
    from modelscope_hub.errors import HubError  # noqa: PLC0415

    hub = HubApi(endpoint=endpoint)
    revision = source.revision or REVISIONS["modelscope"]
    try:
        listed = hub.list_repo_files(source.repo, "model", revision=revision)
    except (HubError, OSError) as error:
        raise _told(source, endpoint, error) from error
    files = [RepoFile(each.path, each.size, each.sha256) for each in listed if each.type == "blob"]

    def get(file: RepoFile, part: Path) -> None:
        try:
            # It keeps what is half there beside the target, and goes on from it.
            incoming = hub.download_file(
                source.repo,
                "model",
                file.path,
                revision=revision,
                local_dir=folder.parent / "incoming",
                expected_sha256=file.sha256,
                file_size=file.size_bytes,
            )
        except HubError as error:
            raise _told(source, endpoint, error) from error
        except OSError as error:
            raise writing(part, error) from error
        incoming.replace(part)

    return fetch_all(choose(files, source.wanted, repository=f"modelscope:{source.repo}"), folder, get, tell)


def _told(source: HubSource, endpoint: str, error: Exception) -> SourceError:
    from modelscope_hub.errors import (  # noqa: PLC0415
        APIError,
        AuthenticationError,
        FileIntegrityError,
        NotExistError,
        PermissionDeniedError,
    )

    host = endpoint.rsplit("://", maxsplit=1)[-1]
    page = f"{endpoint}/models/{source.repo}"
    if isinstance(error, NotExistError):
        revision = f" with revision {source.revision!r}" if source.revision else ""
        return SourceError(
            f"{host} has no model {source.repo}{revision}: check the spelling at {page}; a private one needs "
            "MODELSCOPE_API_TOKEN",
            permanent=True,
        )
    if isinstance(error, AuthenticationError | PermissionDeniedError):
        return SourceError(
            f"{host} does not let you have {source.repo}: ask for it at {page}, then set MODELSCOPE_API_TOKEN to a "
            f"token of that account ({endpoint}/my/myaccesstoken)",
            permanent=True,
        )
    if isinstance(error, FileIntegrityError):
        return SourceError(f"{source}: {error}; it was not kept, try again")
    status = error.status_code if isinstance(error, APIError) else None
    if status is not None and 400 <= status < 500 and status != 429:
        return SourceError(f"{host} refuses {source.repo}: {error}", permanent=True)
    return SourceError(
        f"the connection to {host} broke ({error}); what is here is kept, the next try goes on from there"
    )
