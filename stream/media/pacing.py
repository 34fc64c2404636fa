"""Showing the frames of a file at the times that they carry."""

import time

# Behind by more than this, the clock is set anew instead of rushing to catch up.
_LATE_S = 0.5


class Pacer:
    """Tell how long to wait before a frame is due; live frames are due at once."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._origin_s: float | None = None

    def left_s(self, time_s: float) -> float:
        """Return the seconds left until a presentation time, 0 when it has passed."""
        if self._live:
            return 0.0
        now_s = time.perf_counter()
        if self._origin_s is None or now_s - self._origin_s - time_s > _LATE_S:
            self._origin_s = now_s - time_s
        return max(0.0, self._origin_s + time_s - now_s)

    def wait(self, time_s: float) -> None:
        """Sleep until a presentation time."""
        left_s = self.left_s(time_s)
        if left_s > 0.0:
            time.sleep(left_s)
