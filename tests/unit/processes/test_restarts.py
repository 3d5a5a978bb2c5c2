from __future__ import annotations

from argosy.processes.restarts import ROOM_DELAY_SECONDS, STARTS_IN_WINDOW, RestartHistory


def test_a_start_without_room_does_not_count_while_something_may_drain_and_counts_from_then_on() -> None:
    history, now, refused = RestartHistory(), 0.0, 0
    while now < 40:
        history.started(now)
        assert history.delay_without_room(now, 40) == ROOM_DELAY_SECONDS
        now, refused = now + ROOM_DELAY_SECONDS, refused + 1
    assert refused > STARTS_IN_WINDOW
    delays = []
    for _ in range(STARTS_IN_WINDOW):
        history.started(now)
        delays.append(history.delay_without_room(now, 40))
    assert delays == [1, 2, 4, 8, None]


def test_a_start_that_found_room_begins_that_time_anew() -> None:
    history = RestartHistory()
    history.started(0)
    history.delay_without_room(0, 40)
    history.started(2)
    assert history.next_delay(2) == 1, "it had its room, and failed"
    history.started(50)
    assert history.delay_without_room(50, 40) == ROOM_DELAY_SECONDS
