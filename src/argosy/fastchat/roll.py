"""The roll of old workers: who has registered, when each was heard, which one is asked. Pure: time is passed.

An old worker sends a heartbeat every 45 seconds and is struck off after 90 without one, as at FastChat's own
controller. Whether it answers is asked much more often (listener.py), and told here by `seen`.
"""

from __future__ import annotations

import msgspec

HEARTBEAT_EXPIRATION_SECONDS = 90.0
SILENT_PROBES = 3  # in a row: busy is not dead, its answers wait behind Python's one lock


class Registration(msgspec.Struct, kw_only=True):
    """One old worker. Kept in a file too, so that another start of the listener knows it before its next heartbeat."""

    name: str  # its URL, as it calls itself: the key of FastChat's protocol
    url: str  # the same with the address that was checked
    models: list[str]
    speed: float = 1
    queue_length: int = 0
    check_heart_beat: bool = True
    multimodal: bool = False
    heard_at: float = 0.0  # the last registration or heartbeat
    answers: bool = False  # the last probe's word
    silent: int = 0  # probes in a row without an answer
    reason: str = "it has not answered yet"


class Roll:
    def __init__(self) -> None:
        self._entries: dict[str, Registration] = {}

    @property
    def entries(self) -> list[Registration]:
        return list(self._entries.values())

    def enter(self, registration: Registration, now: float) -> None:
        """A worker that registers again keeps what is known of it."""
        known = self._entries.get(registration.name)
        if known is not None and known.url == registration.url:
            registration.answers, registration.reason = known.answers, known.reason
        registration.heard_at = now
        self._entries[registration.name] = registration

    def heartbeat(self, name: str, queue_length: int, now: float) -> bool:
        """False for one that is not known: it registers again then."""
        found = self._entries.get(name)
        if found is None:
            return False
        found.heard_at, found.queue_length = now, queue_length
        return True

    def seen(
        self, name: str, fault: str | None, now: float, *, gone: bool = False, queue_length: int | None = None
    ) -> None:
        """What a probe found: None is well. `gone`: nobody listens there, which needs no second look."""
        found = self._entries.get(name)
        if found is None:
            return
        if fault is None:
            found.answers, found.silent, found.reason = True, 0, ""
            found.queue_length = found.queue_length if queue_length is None else queue_length
            if not found.check_heart_beat:  # nobody promised to send any
                found.heard_at = now
            return
        found.silent += 1
        found.reason = fault
        if gone or found.silent >= SILENT_PROBES:
            found.answers = False

    def strike_off(self, now: float) -> list[Registration]:
        """Takes out and returns those that have not been heard for too long."""
        expired = [each for each in self._entries.values() if now - each.heard_at > HEARTBEAT_EXPIRATION_SECONDS]
        for each in expired:
            del self._entries[each.name]
        return expired

    def models(self, *, multimodal: bool | None = None) -> list[str]:
        """Of those that answer; of the kind asked for."""
        serving = [each for each in self._entries.values() if each.answers]
        wanted = [each for each in serving if multimodal is None or each.multimodal == multimodal]
        return sorted({model for each in wanted for model in each.models})

    def address_of(self, model: str) -> Registration | None:
        """Whom a client that asks for it is sent to: the shortest queue by speed, as FastChat's default. It counts as
        queued from now on; the next probe puts that right."""
        serving = [each for each in self._entries.values() if each.answers and model in each.models]
        chosen = min(serving, key=lambda each: each.queue_length / max(each.speed, 1e-3), default=None)
        if chosen is not None:
            chosen.queue_length += 1
        return chosen
