"""Coarse person mask of a head crop."""

from types import TracebackType

import cv2
import numpy as np

SIZE = 256


class PersonSegmenter:
    """MediaPipe's selfie segmentation, run on square crops around a head.

    One instance may serve any number of faces: crops do not share state.

    Attributes:
        landscape: take the smaller network (faster by a third, coarser at the edge).
    """

    def __init__(self, landscape: bool = False) -> None:
        self.landscape = landscape
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        self._network = SelfieSegmentation(model_selection=int(landscape))

    def segment(self, crop_rgb: np.ndarray) -> np.ndarray:
        """Return how likely each pixel of the crop is a person.

        Args:
            crop_rgb: (h, w, 3) uint8, any size; it is squeezed to a square.

        Returns:
            (256, 256) float32 probability over the same rectangle.
        """
        shrink = max(crop_rgb.shape[:2]) > SIZE
        inter = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        square = cv2.resize(crop_rgb, (SIZE, SIZE), interpolation=inter)
        mask = self._network.process(square).segmentation_mask
        return np.clip(mask, 0, 1).astype(np.float32)

    def close(self) -> None:
        """Free the network."""
        self._network.close()

    def __enter__(self) -> "PersonSegmenter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
