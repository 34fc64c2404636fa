"""Coarse person mask of a head crop, by MediaPipe's selfie segmentation."""

import cv2
import numpy as np

from stream.closing import Closing
from stream.mediapipe_graph import Graph, choice, picture, plane
from stream.quiet import quiet_stderr
from stream.region import halved

SIZE = 256  # side of the mask, and of the square that the network looks at
_GRAPH = """
input_stream: "image"
input_side_packet: "model_selection"
output_stream: "mask"
node {
  calculator: "SelfieSegmentationCpu"
  input_stream: "IMAGE:image"
  input_side_packet: "MODEL_SELECTION:model_selection"
  output_stream: "SEGMENTATION_MASK:mask"
}
"""


class PersonSegmenter(Closing):
    """Tells person from background in crops around heads.

    Crops do not share state: one segmenter serves any number of faces. The general network
    (256×256) follows the outline to about a pixel of its mask; the landscape network (144×256)
    takes two thirds of the time, and is coarser at the hair.

    Args:
        landscape: take the smaller network.
    """

    def __init__(self, landscape: bool = False) -> None:
        with quiet_stderr():
            self._network = Graph(
                _GRAPH, {"mask": plane}, {"model_selection": choice(int(landscape))}
            )
            self.segment(np.zeros((SIZE, SIZE, 3), np.uint8))

    def segment(self, crop_rgb: np.ndarray) -> np.ndarray:
        """Return how likely each pixel of a crop is a person.

        Args:
            crop_rgb: (h, w, 3) uint8, any size; the network sees it squeezed to a square.

        Returns:
            (256, 256) float32, 0…1, over the same rectangle.
        """
        (mask,) = self._network(image=picture(squared(crop_rgb)))
        return np.clip(mask, 0, 1, dtype=np.float32)

    def close(self) -> None:
        """Free the network; closing twice does no harm."""
        self._network.close()


def squared(crop_rgb: np.ndarray) -> np.ndarray:
    """Squeeze an (h, w, 3) uint8 crop to what the network sees: (256, 256, 3)."""
    if crop_rgb.shape[:2] == (SIZE, SIZE):
        return crop_rgb
    while min(crop_rgb.shape[:2]) >= 2 * SIZE:
        crop_rgb = halved(crop_rgb)
    return cv2.resize(crop_rgb, (SIZE, SIZE))
