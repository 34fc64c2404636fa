"""The settings of the swap: the section `[swap]` of a settings file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CastRow:
    """Who gets which source: a table `[[swap.map]]`.

    Attributes:
        source: a photo, or several of one person with ``;`` between them.
        who: ``left`` or ``right`` for the outermost face, a number counted from the left, or a
            picture of the person who shall get it.
    """

    source: str = ""
    who: str | int = ""


@dataclass(frozen=True, slots=True)
class SwapSettings:
    """How a face is swapped; all shares are 0…1.

    Attributes:
        strength: how far the swap goes; 0 shows the plain frame.
        shape: 0 keeps the geometry of the face in the video, 1 takes that of the source.
        softness: width of the soft border of the mask.
        keep_brows: the brows stay those of the face in the video.
        mouth: the lips stay those of the face in the video, too; what is inside always does.
        colour_match: how far the skin takes the tone of the face in the video; its light it
            always takes.
        sharpness: 0.5 is as sharp as the frame, less is softer, more is sharper.
        grain: how much of the frame's noise the drawn face gets.
        most_turned: degrees away from the camera from which on a face is left as it is.
        map: who gets which source, see CastRow; faces that no row names get the command's
            `--source`, if there is one.
    """

    strength: float = 1.0
    shape: float = 0.5
    softness: float = 0.5
    keep_brows: bool = False
    mouth: bool = False
    colour_match: float = 1.0
    sharpness: float = 0.5
    grain: float = 1.0
    most_turned: float = 60.0
    map: tuple[CastRow, ...] = ()
