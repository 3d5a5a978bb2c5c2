"""What is counted of requests that have ended, by deployment and client key. Owns the counts; metrics.py tells them.

On the path of every request, so they are plain additions: an observation of prometheus-client's costs 1.3 µs, one of
these a seventh of that.
"""

from __future__ import annotations

from collections.abc import Callable

from argosy.gateway.call import Call
from argosy.telemetry.histogram import Histogram

# Upper bounds in seconds. Those of time to the first token and per token are OpenTelemetry's and vLLM's, the last ones
# left out where timeouts.total makes them empty.
QUEUE = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0),
)
PER_TOKEN = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOTAL = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36)
GATEWAY = (
    *(0.00005, 0.000075, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001),
    *(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)


class Timings:
    """Of one deployment's requests, in seconds."""

    __slots__ = ("first_token", "gateway", "per_token", "queue", "total")

    def __init__(self) -> None:
        self.queue = Histogram(QUEUE)
        self.first_token = Histogram(FIRST_TOKEN)
        self.per_token = Histogram(PER_TOKEN)
        self.total = Histogram(TOTAL)
        self.gateway = Histogram(GATEWAY)


class Account:
    """Of one deployment's requests by one client key."""

    __slots__ = ("by_status", "generation_tokens", "prompt_tokens", "timings")

    def __init__(self, timings: Timings) -> None:
        self.by_status: dict[int, int] = {}
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.timings = timings


class RequestMetrics:
    """`timings` by deployment, `accounts` by deployment and key; "" for no deployment, no key.

    `keyed`: whether principals are client keys now; else they are addresses, of which there is no end.
    """

    def __init__(self, keyed: Callable[[], bool]) -> None:
        self._keyed = keyed
        self.timings: dict[str, Timings] = {}
        self.accounts: dict[tuple[str, str], Account] = {}

    def ended(self, call: Call) -> None:
        """On every request's end."""
        deployment = call.deployment
        name = deployment.record.name if deployment is not None else ""
        key = call.principal if self._keyed() else ""
        account = self.accounts.get((name, key))
        if account is None:
            account = self._open(name, key)
        by_status, status = account.by_status, call.status
        by_status[status] = by_status.get(status, 0) + 1
        timings = account.timings
        if call.attempts or call.queued_seconds:
            timings.queue.observe(call.queued_seconds)  # also of those that waited in vain
        if not call.answered_at or status >= 400:
            return  # quick refusals would make a slow model look quick
        timings.total.observe(call.ended_at - call.arrived_at)
        timings.gateway.observe(call.gateway_seconds)
        usage = call.usage
        if usage is not None:
            account.prompt_tokens += usage.prompt_tokens
            account.generation_tokens += usage.completion_tokens
        if call.stream:
            timings.first_token.observe(call.answered_at - call.arrived_at)
            if usage is not None and usage.completion_tokens > 1:
                timings.per_token.observe((call.ended_at - call.answered_at) / (usage.completion_tokens - 1))

    def _open(self, name: str, key: str) -> Account:
        timings = self.timings.get(name)
        if timings is None:
            timings = self.timings[name] = Timings()
        account = self.accounts[name, key] = Account(timings)
        return account
