"""What workers and the controller send to a gateway: its signature, its age and its names are checked."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.requests import Request

from argosy.config.values import check_name
from argosy.errors import BadRequestError, UnauthorizedError
from argosy.protocol import heartbeat as beat
from argosy.wire.request_body import whole_body


async def signed_body(request: Request, what: str, join_token: str) -> bytes:
    """Raises UnauthorizedError."""
    body = await whole_body(request)
    if not beat.is_signed(request.headers.get(beat.SIGNATURE_HEADER, ""), beat.sign(body, join_token)):
        raise UnauthorizedError(f"This {what} is not signed with the fleet's join token.", code="wrong_join_token")
    return body


def check_age(seq: int, what: str) -> None:
    """`seq`: Unix nanoseconds when it was sent. Raises UnauthorizedError."""
    skew = (time.time_ns() - seq) / 1e9
    if abs(skew) > beat.LONGEST_SKEW_SECONDS:
        raise UnauthorizedError(
            f"This {what} was sent {skew:.0f} s ago by its sender's clock: set the clocks of worker and gateway right."
        )


def check_names(replica: str, name: str, aliases: Sequence[str]) -> None:
    """Names come into logs and answers: only what a fleet file may hold is taken. Raises BadRequestError."""
    try:
        for each in (name, *aliases):
            check_name(each)
    except ValueError as error:
        raise BadRequestError(f"This is of no deployment: {error}") from None
    if not replica.startswith(f"{name}.") or not replica[len(name) + 1 :].isalnum():
        raise BadRequestError(f"{replica!r} is no replica of {name}.")
