"""Memory that is kept: frames come and go, and giving their pages back each time is dear."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for mallopt(3)


def keep_freed_memory() -> bool:
    """Tell the C library to reuse freed blocks instead of returning them to the system.

    Arrays of the size of a frame are otherwise mapped and unmapped for every use, and each new
    page costs a fault. Does nothing outside glibc.

    Returns:
        Whether it was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 1 << 25) and mallopt(_TRIM_THRESHOLD, 1 << 29))
