"""Who plays whom: which source each face of the video gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.closing import Closing
from stream.swap.likeness import DOUBTFUL, LIKELY, Likeness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from stream.frame import Frame, Head

_CLEARLY = 0.1  # by so much more alike than anybody else here
_KEPT_FRAMES = 60  # a role waits for its face so long
_LOOKS, _LOOK_EVERY = 4, 5  # at a new face, and frames between them
_MOST_FACES = 32


@dataclass(frozen=True, slots=True)
class Role:
    """One source and the person whom it is meant for.

    Attributes:
        source: its number.
        place: 1 for the leftmost face, 2 for the next, −1 for the rightmost; None where a
            picture or nothing says who.
        like: descriptor of the person, where a picture says who.
    """

    source: int
    place: int | None = None
    like: np.ndarray | None = None

    @property
    def for_anyone(self) -> bool:
        """Whether faces get it that no other role is meant for."""
        return self.place is None and self.like is None


class Looks(Closing):
    """Describes the faces of a stream, each by its first few looks.

    Args:
        engine: what runs the network; see `--engine`.
    """

    def __init__(self, engine: str) -> None:
        self._likeness = Likeness(engine)
        self._seen: dict[int, list[np.ndarray]] = {}
        self._frames = 0

    def close(self) -> None:
        """Give the network back."""
        self._likeness.close()

    def reset(self) -> None:
        """Forget the faces, at a cut."""
        self._seen.clear()

    def update(self, frame: Frame, heads: Sequence[Head]) -> dict[int, np.ndarray]:
        """Look at the faces of a frame that are new; return the descriptors of all, by identity."""
        self._frames += 1
        for head in heads:
            seen = self._seen.setdefault(head.face_id, [])
            due = not seen or self._frames % _LOOK_EVERY == 0
            if due and len(seen) < _LOOKS:
                seen.append(self._likeness.describe(frame.pixels, head))
        for face in list(self._seen)[: max(0, len(self._seen) - _MOST_FACES)]:
            del self._seen[face]
        return {head.face_id: Likeness.mean(self._seen[head.face_id]) for head in heads
                if head.face_id in self._seen}  # fmt: skip


class Casting:
    """Gives each face its source and keeps to it while the face is followed.

    A place counts when a face gets its role; later it may go anywhere. A role waits a while for
    a face that is gone, and goes to a new one that looks the same.

    Args:
        roles: what there is to play.
    """

    def __init__(self, roles: Sequence[Role]) -> None:
        self._roles = list(roles)
        self._cast: dict[int, int] = {}  # role of each face
        self._last: dict[int, np.ndarray] = {}  # looks of who played a role last
        self._absent: dict[int, int] = {}  # frames since a face that has a role was here

    @property
    def needs_looks(self) -> bool:
        """Whether it matters who is who."""
        return any(not role.for_anyone for role in self._roles)

    def source_of(self, face_id: int) -> int | None:
        """Return the number of the source that a face gets, None for none."""
        role = self._cast.get(face_id)
        return None if role is None else self._roles[role].source

    def reset(self) -> None:
        """Forget who is where, at a cut; how they looked stays."""
        self._cast.clear()
        self._absent.clear()

    def update(self, across: Mapping[int, float], looks: Mapping[int, np.ndarray]) -> None:
        """Take in the faces of a frame.

        Args:
            across: place of each face along x, by identity, in pixels.
            looks: descriptors of those that were looked at.
        """
        self._retire(across)
        self._cast_alike(across, looks)
        self._cast_by_place(across)
        anyone = next((n for n, role in enumerate(self._roles) if role.for_anyone), None)
        for face in across:
            if face not in self._cast and anyone is not None:
                self._cast[face] = anyone
        self._last |= {role: looks[face] for face, role in self._cast.items() if face in looks}

    def _open(self) -> list[int]:
        """Return the roles that are meant for somebody and nobody has."""
        taken = set(self._cast.values())
        return [
            number
            for number, role in enumerate(self._roles)
            if not role.for_anyone and number not in taken
        ]

    def _free(self, across: Mapping[int, float]) -> list[int]:
        """Return the faces without a role that is meant for them, from the left."""
        free = [
            face
            for face in across
            if face not in self._cast or self._roles[self._cast[face]].for_anyone
        ]
        return sorted(free, key=lambda face: across[face])

    def _retire(self, across: Mapping[int, float]) -> None:
        """Take roles from faces that have been gone for long."""
        for face in list(self._cast):
            self._absent[face] = 0 if face in across else self._absent.get(face, 0) + 1
            if self._absent[face] > _KEPT_FRAMES:
                del self._cast[face], self._absent[face]

    def _cast_alike(self, across: Mapping[int, float], looks: Mapping[int, np.ndarray]) -> None:
        """Give roles to who looks as a role's picture, or as who had the role before."""
        faces = [face for face in self._free(across) if face in looks]
        scores: dict[tuple[int, int], float] = {}
        for role in self._waiting():
            wanted = self._roles[role].like
            wanted = self._last.get(role) if wanted is None else wanted
            if wanted is not None:
                scores |= {(face, role): Likeness.score(looks[face], wanted) for face in faces}
        for face, role in sorted(scores, key=lambda pair: -scores[pair]):
            if face in faces and role in self._waiting():
                rivals = [scores[other, role] for other in faces if other != face]
                alike = scores[face, role]
                clearly = rivals and alike > max(max(rivals) + _CLEARLY, DOUBTFUL)
                if alike > LIKELY or clearly:
                    self._replace(face, role)
                    faces.remove(face)

    def _waiting(self) -> list[int]:
        """Return open roles, and those whose face is out of sight."""
        absent = {role for face, role in self._cast.items() if self._absent.get(face)}
        return self._open() + [role for role in absent if not self._roles[role].for_anyone]

    def _replace(self, face: int, role: int) -> None:
        for former in [one for one, played in self._cast.items() if played == role]:
            del self._cast[former]
        self._cast[face] = role

    def _cast_by_place(self, across: Mapping[int, float]) -> None:
        order = sorted(across, key=lambda face: across[face])
        free = self._free(across)
        for role in self._open():
            place = self._roles[role].place
            if place is None:
                continue
            index = place - 1 if place > 0 else len(order) + place
            if 0 <= index < len(order) and order[index] in free:
                self._cast[order[index]] = role
                free.remove(order[index])
