"""`argosy top` in a real terminal."""

from __future__ import annotations

from terminal import terminal

from command import Argosy

FLEET = "gateway: {port: 0}\ngrace: 1\ndeployments: {a: {engine: echo, replicas: 2}, b: {engine: echo}}"


def test_top_shows_the_fleet_and_ends_by_q_ctrl_c_and_with_the_fleet(argosy: Argosy) -> None:
    argosy.run("up", "-d", argosy.file(FLEET))
    assert "wants a terminal" in argosy.run("top", code=2).stderr
    with terminal(argosy, "top") as wide:
        wide.shows("fleet fleet · 3/3 ready · 0 in flight · 0 waiting · 0 tokens/s")
        wide.shows("a.1")  # drawn again
        assert "RESTARTS" in wide.seen
        wide.press("x")
        wide.press("q")
        assert wide.ends() == 0
        assert "\x1b[?1049l" in wide.seen  # the screen is put back as it was
    with terminal(argosy, "top", columns=30, lines=6) as small:
        small.shows("more rows have no")
        assert "MEMORY" not in small.seen
        small.press("\x03")
        assert small.ends() == 0
    with terminal(argosy, "top") as watching:
        watching.shows("3/3 ready")
        argosy.run("down")
        assert watching.ends() == 0
        assert "fleet fleet is down" in watching.seen


def test_top_needs_a_fleet(argosy: Argosy) -> None:
    argosy.run("top", code=3)
