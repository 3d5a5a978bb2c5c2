"""How much of the memory that it has freed a process keeps for itself. Linux's C library only; nothing elsewhere."""

from __future__ import annotations

import ctypes

# malloc.h of glibc, https://man7.org/linux/man-pages/man3/mallopt.3.html
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 32 << 20
OWN_PAGES_BYTES = 8 << 20  # of one object, from which it lies outside the heap, and goes back whole


def keep_freed_memory() -> bool:
    """Keeps up to KEPT_BYTES at the heap's end instead of 128 KiB; whether that could be done.

    Else a body of 2 MB gets fresh pages from the kernel for each of its copies, and gives them back: 400 page faults
    for each request, which cost as much as all else that is done with it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_MMAP_THRESHOLD, OWN_PAGES_BYTES))
