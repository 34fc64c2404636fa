"""The governor: a live stream that cannot keep up gives up quality before it gives up frames."""

from dataclasses import dataclass, replace
from typing import Any

from stream.choices import QualityName
from stream.settings import GovernorSettings


@dataclass(frozen=True, slots=True)
class Quality:
    """How much work the path may do for a frame.

    Attributes:
        name: what statistics call it.
        hair_every: hair depth is computed on every n-th frame and carried along between.
        nodes: of the mesh, along the longer side of a head's region.
        matte_share: size of the matte, as a share of what the settings say.
        refine_every: the network `refine` looks at every n-th frame, and its change is carried
            along between; 0 leaves it out.
    """

    name: str
    hair_every: int
    nodes: int
    matte_share: float
    refine_every: int


LEVELS = (
    Quality("high", hair_every=2, nodes=96, matte_share=1.0, refine_every=4),
    Quality("hair every 3rd frame", hair_every=3, nodes=96, matte_share=1.0, refine_every=0),
    Quality("smaller mesh and matte", hair_every=4, nodes=80, matte_share=0.85, refine_every=0),
    Quality("low", hair_every=6, nodes=72, matte_share=0.7, refine_every=0),
)
HIGH, LOW = LEVELS[0], LEVELS[-1]
# Of videos: the repair costs 4 to 5 % of the frame rate; `high` asks for it.
VIDEO = replace(HIGH, refine_every=0)

_SWING_S = 20.0  # a raise that is taken back within this time was a mistake


class Governor:
    """Choose the quality of the next frame from the time that the last ones took.

    Only a live source with ``quality`` on ``auto`` is governed: a file loses no frames
    whatever time they take, so a picture always gets the high quality, a video the same without
    the repair, and ``low`` and ``high`` are the user's word.

    Args:
        settings: when to change.
        quality: what the user asked for.
        fps: of the source.
        live: frames come whether they are waited for or not.
        still: there is one frame.
    """

    def __init__(
        self,
        settings: GovernorSettings,
        quality: QualityName = "auto",
        fps: float = 30.0,
        live: bool = False,
        still: bool = False,
    ) -> None:
        self._settings = settings
        self._budget_s = 1.0 / fps if fps > 0 else 1.0 / 30.0
        self._active = live and quality == "auto"
        self._best = HIGH if quality != "auto" or live or still else VIDEO
        self._level = len(LEVELS) - 1 if quality == "low" else 0
        self._mean_s = 0.0
        self._over_s = self._under_s = self._elapsed_s = 0.0
        self._raised_at_s = float("-inf")
        self._patience = 1.0
        self.changes: list[dict[str, Any]] = []

    @property
    def quality(self) -> Quality:
        """The quality for the next frame."""
        return LEVELS[self._level] if self._level else self._best

    def update(self, spent_s: float) -> Quality:
        """Take in the time that one frame took and decide.

        Args:
            spent_s: seconds of work, without the wait for the source.

        Returns:
            The quality for the next frame.
        """
        if self._active:
            self._observe(spent_s)
            if self._over_s > self._settings.lower_after_s and self.quality is not LOW:
                self._lower()
            elif self._under_s > self._settings.raise_after_s * self._patience and self._level:
                self._raise()
        return self.quality

    def _observe(self, spent_s: float) -> None:
        """Follow the mean and add up for how long it has been over or under."""
        passed_s = max(spent_s, self._budget_s)
        self._elapsed_s += passed_s
        self._mean_s = spent_s if not self._mean_s else 0.85 * self._mean_s + 0.15 * spent_s
        share = self._mean_s / self._budget_s
        self._over_s = self._over_s + passed_s if share > self._settings.lower_above else 0.0
        self._under_s = self._under_s + passed_s if share < self._settings.raise_below else 0.0

    def _lower(self) -> None:
        if self._elapsed_s - self._raised_at_s < _SWING_S:
            self._patience = min(self._patience * 2, 64.0)
        self._change(+1)

    def _raise(self) -> None:
        self._raised_at_s = self._elapsed_s
        self._change(-1)

    def _change(self, step: int) -> None:
        before = self.quality
        self._level += step
        self.changes.append(
            {
                "time_s": round(self._elapsed_s, 3),
                "from": before.name,
                "to": self.quality.name,
                "frame_ms": round(self._mean_s * 1e3, 2),
                "budget_ms": round(self._budget_s * 1e3, 2),
            }
        )
        self._mean_s = self._over_s = self._under_s = 0.0
