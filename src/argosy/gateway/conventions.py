"""How OpenTelemetry's conventions name what a call is: for spans and metrics alike. Pure.

https://github.com/open-telemetry/semantic-conventions-genai; names that it does not have begin with `argosy.`.
"""

from __future__ import annotations

from argosy.gateway.call import Call
from argosy.protocol import endpoints

OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
ERROR_TYPE = "error.type"
_OPERATIONS = {
    endpoints.CHAT: "chat",
    endpoints.RESPONSES: "chat",
    endpoints.MESSAGES: "chat",
    endpoints.COMPLETIONS: "text_completion",
    endpoints.EMBEDDINGS: "embeddings",
}


def operation_of(path: str) -> str:
    """The conventions' word where they have one; else the path's own."""
    return _OPERATIONS.get(path) or path.removeprefix("/v1/").strip("/").replace("/", "_")


def error_type(call: Call) -> str:
    """Of a call that ended in an error, one of few words; else ""."""
    return call.fault or (str(call.status) if call.status >= 400 else "")


def failed(call: Call) -> bool:
    """Whether it ended in an error of ours or of an engine's: what a client did wrong is none, nor that it left."""
    return call.status >= 500 or (call.started and bool(call.fault) and call.fault != "client_left")


def common(call: Call) -> dict[str, str]:
    """What spans and metrics both say. Names come from the fleet file alone: what a client sends has no end."""
    told = {OPERATION: operation_of(call.path), PROVIDER: "argosy"}
    if call.deployment is not None:
        told[REQUEST_MODEL] = call.model
        told[RESPONSE_MODEL] = call.deployment.record.name
    if kind := error_type(call):
        told[ERROR_TYPE] = kind
    return told
