"""What a user can set of the method `affine`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AffineSettings:
    """How a face is laid on another one by the affine of its keypoints.

    Attributes:
        features: whose eyes and inner mouth are shown: `target` keeps those of the video, so
            that it looks and speaks; `source` pastes the whole face, as the paper does.
        follow: how far eyes, lips and outline go where the video's face has them, beyond what
            one affine for all points can do; 0 is the paper's affine alone.
        tone: how far the face takes over the colours of the one below it.
        edge: width of the soft edge, as a share of the face.
        mirror: what the source hides is completed from its mirror half; else stretched.
        occlusion: hair and things before the video's face stay before it, and those of the
            source are not pasted; needs the network `head_segmentation`.
        repair: the network `repair` goes over the result.
    """

    features: Literal["target", "source"] = "target"
    follow: float = 1.0
    tone: float = 1.0
    edge: float = 0.07
    mirror: bool = True
    occlusion: bool = True
    repair: bool = False
