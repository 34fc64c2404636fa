"""The networks of voltface itself, opened for the live path."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.errors import NotShippedError
from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from engines.engine import Engine

_log = logging.getLogger("voltface")
_THREADS = 2  # more do not help networks this small, and take cores from the rest
# What frames may need. These look while the path goes on: one thread each, since a second would
# take that one's core, and spend a part of its time on waiting for work.
LIVE = ("head_segmentation", "hair_depth", "face_3dmm", "refine")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Which networks take the place of the analytic stages.

    Attributes:
        head_segmentation: tells hair, skin, clothes and things apart.
        hair_depth: estimates the depth of hair and ears.
        face_3dmm: gives the fit its start.
        refine: repairs what the warp cannot know.
        face_depth: refines the depth of faces that `voltface reconstruct` makes.
    """

    head_segmentation: bool = True
    hair_depth: bool = True
    face_3dmm: bool = True
    refine: bool = True
    face_depth: bool = True


def open_if_shipped(
    name: str, choice: str = "auto", *, threads: int = _THREADS, weights: Path = WEIGHTS
) -> Engine | None:
    """Open a network that a path can do without.

    Args:
        name: of the network.
        choice: what runs it; see `--engine`.
        threads: of the engine.
        weights: folder of the network files.

    Returns:
        The engine, whose closing is the caller's; None where the network is not shipped.

    Raises:
        UserError: if an engine was named and cannot run.
    """
    try:
        return open_engine(SPECS[name], choice, threads=threads, weights=weights)
    except NotShippedError:
        _log.debug("%s is not shipped: the stage without it does the work", name)
        return None


class Networks(Closing):
    """The engines of the networks that are shipped and switched on.

    Args:
        settings: which ones are wanted.
        choice: what runs them; see `--engine`.
        weights: folder of the network files.
        needed: names of those that there is any use for.

    Raises:
        UserError: if an engine was named and cannot run.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        choice: str = "auto",
        weights: Path = WEIGHTS,
        needed: Collection[str] = LIVE,
    ) -> None:
        self._engines: dict[str, Engine] = {}
        for name in needed:
            if not getattr(settings, name):
                continue
            threads = 1 if name in LIVE else _THREADS
            engine = open_if_shipped(name, choice, threads=threads, weights=weights)
            if engine is not None:
                self._engines[name] = engine

    def get(self, name: str) -> Engine | None:
        """Return an engine by its network's name; None where the analytic stage does the work."""
        return self._engines.get(name)

    @property
    def as_stats(self) -> dict[str, dict[str, str]]:
        """What ``--stats`` says of them."""
        return {name: engine.as_stats for name, engine in self._engines.items()}

    def close(self) -> None:
        """Give back the engines; closing twice does no harm."""
        while self._engines:
            self._engines.popitem()[1].close()
