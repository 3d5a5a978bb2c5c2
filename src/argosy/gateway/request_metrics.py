"""What is counted of requests that have ended, by deployment and client key. Owns the counts; exposition.py tells them.

Plain numbers, as this is on the path of every request: an observation of prometheus-client costs as much as all here.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.gateway.call import Call
from argosy.telemetry.histogram import Histogram

MOST_PENDING = 1000  # observations of a deployment between two scrapes, before they are taken into the counts

# Upper bounds in seconds. To the first token and between tokens they are those that OpenTelemetry recommends and vLLM
# has, with finer ones for small models and without those beyond timeouts.total.
QUEUE = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0),
)
BETWEEN_TOKENS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOTAL = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36)
GATEWAY = (
    *(0.00005, 0.000075, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001),
    *(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)


class Timings:
    """Of one deployment's requests, in seconds."""

    __slots__ = ("between_tokens", "first_token", "gateway", "queue", "total")

    def __init__(self) -> None:
        self.queue = Histogram(QUEUE)
        self.first_token = Histogram(FIRST_TOKEN)
        self.between_tokens = Histogram(BETWEEN_TOKENS)
        self.total = Histogram(TOTAL)
        self.gateway = Histogram(GATEWAY)

    def settle(self) -> None:
        for each in (self.queue, self.first_token, self.between_tokens, self.total, self.gateway):
            each.settle()


class Account:
    """Of one deployment's requests by one client key."""

    __slots__ = ("by_status", "generation_tokens", "prompt_tokens", "timings")

    def __init__(self, timings: Timings) -> None:
        self.by_status: dict[int, int] = {}
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.timings = timings  # its deployment's


class RequestMetrics:
    """`timings` by deployment, `accounts` by deployment and key; "" is no deployment, no key."""

    def __init__(self) -> None:
        self.timings: dict[str, Timings] = {}
        self.accounts: dict[tuple[str, str], Account] = {}

    def ended(self, calls: Sequence[Call]) -> None:
        """On the end of requests."""
        for call in calls:
            self._count(call)
        for timings in self.timings.values():
            if timings.queue.pending >= MOST_PENDING:
                timings.settle()

    def _count(self, call: Call) -> None:
        deployment = call.deployment
        name = "" if deployment is None else deployment.record.name
        key = "" if call.principal == call.client else call.principal  # of addresses there is no end
        account = self.accounts.get((name, key)) or self._open(name, key)
        status = call.status
        account.by_status[status] = account.by_status.get(status, 0) + 1
        if not (call.attempts or call.queued_seconds):
            return  # refused at the door
        timings = account.timings
        timings.queue.observe(call.queued_seconds)  # also of those that waited in vain
        if not call.answered_at or status >= 400:
            return  # quick failures would make a slow model look quick
        timings.total.observe(call.ended_at - call.arrived_at)
        timings.gateway.observe(call.gateway_seconds)
        tokens = call.events  # of a stream that was cut, or whose engine tells nothing: a token each
        if (usage := call.usage) is not None:
            tokens = usage.completion_tokens
            account.prompt_tokens += usage.prompt_tokens
        account.generation_tokens += tokens
        if call.stream:
            timings.first_token.observe(call.answered_at - call.arrived_at)
            if tokens > 1:
                timings.between_tokens.observe((call.ended_at - call.answered_at) / (tokens - 1))

    def settle(self) -> None:
        """Brings the timings up to date, for a scrape."""
        for timings in self.timings.values():
            timings.settle()

    def _open(self, name: str, key: str) -> Account:
        timings = self.timings.setdefault(name, Timings())
        account = self.accounts[name, key] = Account(timings)
        return account
