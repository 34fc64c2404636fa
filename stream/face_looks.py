"""What the network `face_3dmm` has seen of each face so far.

A face that is new is looked at before it is fitted; later looks run beside the frames. One look
is uncertain, and errors of looks at different poses differ: what lasts (identity and skin) is
the mean of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stream.face_3dmm import FaceGuess, FaceReader, face_crop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    from stream.face_3dmm import Network
    from stream.frame import Face, Frame

_log = logging.getLogger("voltface")
_MOST_FACES = 64


@dataclass(frozen=True, slots=True)
class LookSettings:
    """How often faces are looked at.

    Attributes:
        young_looks: so many looks follow each other fast.
        young_every_s: seconds between those.
        every_s: seconds between later ones.
        most_looks: the mean of identity and skin goes back so many.
        least_side_px: side of the crop below which a face shows too little.
    """

    young_looks: int = 6
    young_every_s: float = 0.2
    every_s: float = 2.0
    most_looks: int = 16
    least_side_px: float = 64.0


@dataclass(slots=True)
class _Known:
    """What was seen of one face: `guess` is the last look with the mean of what lasts."""

    guess: FaceGuess | None
    time_s: float
    looks: int = 0


class FaceLooks:
    """Looks at faces, and remembers what it saw by their identities.

    Args:
        network: called with `picture`; None sees nothing.
        beside: where looks run that nobody waits for.
        settings: how often.
    """

    def __init__(
        self, network: Network | None, beside: Executor, settings: LookSettings | None = None
    ) -> None:
        self._reader = FaceReader(network) if network is not None else None
        self._beside = beside
        self._settings = settings or LookSettings()
        self._known: dict[int, _Known] = {}
        self._awaited: tuple[list[int], Future[list[FaceGuess]]] | None = None
        self._failed = False

    def reset(self) -> None:
        """Forget every face (at a scene cut)."""
        self._known.clear()
        self._awaited = None

    def guess(self, face_id: int) -> FaceGuess | None:
        """Return what is known of a face: the last look, with the mean identity and skin."""
        known = self._known.get(face_id)
        return None if known is None else known.guess

    def update(self, frame: Frame, faces: Sequence[Face]) -> dict[int, FaceGuess]:
        """Take in the answers of earlier looks, and look at faces that are new.

        Call it once a frame before the fit.

        Returns:
            What is known of each face about which there is news, by its identity.
        """
        if self._reader is None:
            return {}
        news = self._collected()
        new = [face for face in faces if face.id not in self._known and self._worth(face)]
        if new:
            self._note(frame.time_s, new)
            news |= self._taken([face.id for face in new], self._read(frame, new))
        return news

    def look_ahead(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Begin to look at the faces whose time has come; `update` takes the answer."""
        if self._reader is None or self._awaited is not None:
            return
        due = [face for face in faces if self._is_due(face, frame.time_s) and self._worth(face)]
        if due:
            self._note(frame.time_s, due)
            answer = self._beside.submit(self._read, frame, due)
            self._awaited = ([face.id for face in due], answer)

    def _collected(self) -> dict[int, FaceGuess]:
        if self._awaited is None:
            return {}
        (ids, answer), self._awaited = self._awaited, None
        return self._taken(ids, answer.result())  # a frame has passed: it is there

    def _read(self, frame: Frame, faces: Sequence[Face]) -> list[FaceGuess]:
        assert self._reader is not None  # noqa: S101  the callers looked
        try:
            return self._reader.read(frame, faces)
        except Exception as error:  # noqa: BLE001  the fit does without
            if not self._failed:
                _log.warning("face_3dmm failed and is left out: %s", error)
            self._failed = True
            return []

    def _note(self, time_s: float, faces: Sequence[Face]) -> None:
        for face in faces:
            self._known.setdefault(face.id, _Known(None, time_s)).time_s = time_s
        while len(self._known) > _MOST_FACES:
            del self._known[min(self._known, key=lambda one: self._known[one].time_s)]

    def _taken(self, ids: list[int], guesses: list[FaceGuess]) -> dict[int, FaceGuess]:
        news = {}
        for face_id, guess in zip(ids, guesses, strict=False):  # after a failure there are none
            known = self._known.get(face_id)
            if known is not None and all(np.isfinite(part).all() for part in _parts(guess)):
                known.looks += 1
                share = 1 / min(known.looks, self._settings.most_looks)
                known.guess = guess if known.guess is None else _mixed(known.guess, guess, share)
                news[face_id] = known.guess
        return news

    def _is_due(self, face: Face, time_s: float) -> bool:
        known, settings = self._known.get(face.id), self._settings
        if known is None:
            return False
        young = known.looks < settings.young_looks
        pause = settings.young_every_s if young else settings.every_s
        return time_s - known.time_s >= pause - 1e-6

    def _worth(self, face: Face) -> bool:
        return face.fresh and face_crop(face.points_px).side >= self._settings.least_side_px


def _parts(guess: FaceGuess) -> tuple[np.ndarray, ...]:
    return guess.identity, guess.expression, guess.rotation, guess.place, guess.texture, guess.light


def _mixed(old: FaceGuess, new: FaceGuess, share: float) -> FaceGuess:
    """Return the new look with the mean of what lasts."""
    identity = old.identity + np.float32(share) * (new.identity - old.identity)
    texture = old.texture + np.float32(share) * (new.texture - old.texture)
    return replace(new, identity=identity, texture=texture)
