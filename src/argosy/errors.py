"""The error tree. Every error that Argosy raises on purpose is one of these; its text is a sentence for a person.

    ArgosyError                         exit code 1 when it ends a command
    ├── InputError                      what the user gave is wrong: exit code 2, nothing was started
    │   ├── FleetFileError              every fault of a fleet file at once, each with its path
    │   ├── SourceError                 a source of weights that cannot be had
    │   ├── BuildError                  an environment of Python packages that cannot be built
    │   └── CommandError                what was typed in a chat: told there, and the chat goes on
    ├── NotRunningError                 the command needs a fleet and none runs: exit code 3
    ├── EngineError                     an engine could not start or stopped
    └── RequestError                    ends one request at the door with an HTTP status
        ├── BadRequestError       400   ├── UnauthorizedError 401   ├── NotFoundError 404
        ├── ForbiddenError        403   ├── TooLargeError     413   ├── OverloadedError 429
        ├── UnavailableError      503   ├── ConflictError     409   │   └── LimitedError  a client key's own limit
        └── UpstreamError         502   an engine failed this request
            ├── ConnectError            … before it took it: safe to send elsewhere
            ├── BrokenAnswerError       … after it took it
            ├── RefusedError      503   … it said that it takes none now
            └── UpstreamTimeoutError 504

`gateway/errors.py` maps RequestError to the OpenAI envelope, `cli` maps the rest to exit codes; nobody else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ArgosyError(Exception):
    """Base of all. `str(error)` says what failed, with which value, and what to do."""

    exit_code = 1


class InputError(ArgosyError):
    """What the user gave is wrong; nothing was started."""

    exit_code = 2


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a fleet file: where (`deployments.smollm2.options`) and what."""

    path: str
    message: str
    line: int | None = None  # in the file, where it is known

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text} (line {self.line})" if self.line else text


class FleetFileError(InputError):
    """Every fault of a fleet file, found before anything is started."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__("\n".join([f"{file} has {len(faults)} fault(s):", *(f"  {fault}" for fault in faults)]))


class SourceError(InputError):
    """A source of weights that is malformed, missing or cannot be fetched.

    `permanent`: fetching it again cannot help (no such file, a licence that was not accepted), so nobody retries.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class BuildError(InputError):
    """An environment of Python packages that cannot be built.

    `permanent`: building it again cannot help (no such version, needs that contradict each other), so nobody retries.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class CommandError(InputError):
    """What was typed in a chat is no command, or none that fits now."""


class NotRunningError(ArgosyError):
    """The command needs a running fleet."""

    exit_code = 3


class EngineError(ArgosyError):
    """An engine could not be started or has stopped.

    `permanent`: starting it again cannot help (a missing model, options it does not take), so nobody retries.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class RequestError(ArgosyError):
    """Ends one request at the door.

    `type` and `code` are OpenAI's (https://platform.openai.com/docs/guides/error-codes); `param` names the field at
    fault; `retry_after` is in seconds and becomes the Retry-After header; `place` is the request's in a waiting line.
    """

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        place: int | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.retry_after = retry_after
        self.place = place
        if code is not None:
            self.code = code


class BadRequestError(RequestError):
    status = 400
    type = "invalid_request_error"


class UnauthorizedError(RequestError):
    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class ForbiddenError(RequestError):
    status = 403
    type = "invalid_request_error"


class NotFoundError(RequestError):
    status = 404
    type = "invalid_request_error"


class ConflictError(RequestError):
    """What is asked for does not go with what is there; `code` says how."""

    status = 409
    type = "invalid_request_error"


class TooLargeError(RequestError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class OverloadedError(RequestError):
    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class LimitedError(OverloadedError):
    """A client key's own limit is reached. `kind` becomes the `type`: OpenAI says there which limit it was."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, kind: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)
        self.type = kind


class UnavailableError(RequestError):
    status = 503
    type = "server_error"
    code = "not_ready"


class UpstreamError(RequestError):
    """An engine failed this request."""

    status = 502
    type = "server_error"
    code = "engine_error"


class ConnectError(UpstreamError):
    """The engine was not reached: it has not seen the request, which may be sent to any other replica."""

    code = "engine_unreachable"


class BrokenAnswerError(UpstreamError):
    """The engine took the request, then its answer broke off or made no sense as HTTP."""

    code = "engine_died"


class RefusedError(UpstreamError):
    """The engine said that it takes no request now (503): it may be sent elsewhere."""

    status = 503
    code = "engine_unavailable"


class UpstreamTimeoutError(UpstreamError):
    """A time limit ran out while an engine had the request; `code` says which one."""

    status = 504
    code = "timeout"
