import pytest

from argosy.engines.memory import MemoryNeed

GIB = 1024**3


def need(*, weights: float = 4, per_token: int = 128 * 1024, context: int = 8192, slots: int = 4) -> MemoryNeed:
    """A 7B model of 4 GiB by default, whose cache takes 1 GiB for 8192 tokens."""
    return MemoryNeed("m.gguf", int(weights * GIB), per_token, context, slots)


def test_a_need_tells_its_parts() -> None:
    assert str(need()) == "8.0 GiB of memory (weights 4.0, cache 4.0)"
    assert str(MemoryNeed("m", GIB // 2)) == "0.50 GiB of memory"


@pytest.mark.parametrize(
    ("available", "told"),
    [
        (7.5, "would fit: context 7168 with 4 slots, or context 8192 with 3 slots"),
        (5.0, "would fit: context 2048 with 4 slots, or context 8192 with 1 slot"),
        (4.5, "would fit: context 1024 with 4 slots, or context 4096 with 1 slot"),
        (4.1, "would fit: context 768 with 1 slot"),
        (4.0, "a smaller quantisation is needed: weights of at most 3.8 GiB would fit (with context 2048 and 1 slot)"),
        (3.0, "a smaller quantisation is needed: weights of at most 2.8 GiB would fit (with context 2048 and 1 slot)"),
        (0.2, "no weights would fit"),
    ],
)
def test_what_fits_is_told_as_context_and_slots_or_as_a_size_of_weights(available: float, told: str) -> None:
    assert need().what_fits(int(available * GIB)) == told


def test_with_one_slot_only_the_context_can_shrink() -> None:
    assert need(slots=1, context=32768).what_fits(6 * GIB) == "would fit: context 16384 with 1 slot"


def test_weights_that_are_mapped_already_take_no_room() -> None:
    told = need(slots=1, context=32768).what_fits(2 * GIB, weights_are_here=True)
    assert told == "would fit: context 16384 with 1 slot"


def test_what_is_told_does_fit() -> None:
    wanted = need(context=100_000, slots=7)
    for available in range(int(4.3 * GIB), 80 * GIB, 7 * GIB // 3):
        for words in wanted.what_fits(available).removeprefix("would fit: ").split(", or "):
            _, context, _, slots, _ = words.split()
            assert need(context=int(context), slots=int(slots)).total_bytes <= available


def test_of_weights_alone_only_a_smaller_size_can_be_told() -> None:
    told = MemoryNeed("folder", 9 * GIB).what_fits(5 * GIB)
    assert told == "a smaller quantisation is needed: weights of at most 5.0 GiB would fit"
