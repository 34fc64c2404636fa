"""From photos and a map of who gets which to a path of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.errors import UserError
from stream.networks import Networks, NetworkSettings
from stream.swap.casting import Role
from stream.swap.source import prepare_source
from stream.swap.swapper import Swapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.media import StreamInfo
    from stream.settings import Settings
    from stream.stats import StageTimer
    from stream.swap.options import CastRow, SwapSettings
    from stream.swap.source_face import SourceFace

_PLACES = {"left": 1, "right": -1}


class SwapBuilder:
    """Makes the path of a swap once the stream is known; see `stream.path.PathBuilder`.

    Args:
        photos: of the person whom everybody gets that no row names.
        rows: who gets whom.

    Raises:
        UserError: if neither names a source.
    """

    def __init__(self, photos: Sequence[str], rows: Sequence[CastRow] = ()) -> None:
        if not photos and not rows:
            raise UserError(
                "no source is given",
                "a swap puts the face of a photo on",
                "Give --source photo.jpg, or [[swap.map]] in a settings file",
            )
        self._photos, self._rows = tuple(photos), tuple(rows)
        self._built: Swapper | None = None

    @property
    def options(self) -> SwapSettings:
        """How faces are swapped by now; keys change it.

        Raises:
            RuntimeError: before the path was made.
        """
        if self._built is None:
            raise RuntimeError("SwapBuilder.options: nothing was built yet")
        return self._built.options

    def __call__(self, settings: Settings, info: StreamInfo, timer: StageTimer) -> Swapper:
        """Prepare the sources and make the path.

        Raises:
            UserError: if a photo cannot be used, a row cannot be understood, or OpenGL is missing.
        """
        unused = NetworkSettings(hair_depth=False, refine=False)
        with Networks(unused, settings.engine) as networks:
            sources, roles = cast(self._photos, self._rows, settings.engine, networks)
        self._built = Swapper(settings, info, timer, sources=sources, roles=roles)
        return self._built


def cast(
    photos: Sequence[str], rows: Sequence[CastRow], engine: str, networks: Networks
) -> tuple[list[SourceFace], list[Role]]:
    """Prepare all sources, and say who gets which.

    Args:
        photos: of the person for everybody that no row names; may be none.
        rows: who gets whom.
        engine: what runs the networks.
        networks: opened ones.

    Raises:
        UserError: if a photo cannot be used, or a row cannot be understood.
    """
    sources, roles = [], []
    for number, row in enumerate(rows):
        names = [name.strip() for name in row.source.split(";") if name.strip()]
        if not names:
            raise UserError(
                f"row {number + 1} of [[swap.map]] has no source",
                "it says whose face somebody gets",
                'Add source = "photo.jpg" to it',
            )
        roles.append(_role(number, row.who, engine, networks))
        sources.append(prepare_source(names, engine, networks=networks))
    if photos:
        roles.append(Role(len(sources)))
        sources.append(prepare_source(list(photos), engine, networks=networks))
    return sources, roles


def _role(number: int, who: str | int, engine: str, networks: Networks) -> Role:
    if isinstance(who, int) or who.strip().isdigit():
        place = int(who)
        if place < 1:
            raise UserError(
                f"who = {who} in [[swap.map]]",
                "faces are counted from the left, beginning with 1",
                "Give 1 or more",
            )
        return Role(number, place)
    if who in _PLACES:
        return Role(number, _PLACES[who])
    if not who:
        return Role(number)
    return Role(number, like=prepare_source([who], engine, networks=networks).descriptor)
