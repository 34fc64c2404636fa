"""Which of the known pixels is nearest, so that what is known of it can go on beyond its border."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest known pixel of every pixel.

    Attributes:
        distance_px: (h, w) float32, how far it is; 0 where a pixel is known itself.
        index: (h, w) where it stands in a picture that is laid out as one row.
    """

    distance_px: np.ndarray
    index: np.ndarray

    @classmethod
    def among(cls, known: np.ndarray) -> "Nearest":
        """Look for the nearest of the pixels of a mask.

        Args:
            known: (h, w) bool.

        Raises:
            ValueError: none is known.
        """
        if not known.any():
            raise ValueError("Nearest.among: no pixel is known")
        distance_px, label = cv2.distanceTransformWithLabels(
            (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.zeros(int(label.max()) + 1, np.intp)
        of_label[label[known]] = np.flatnonzero(known)
        return cls(distance_px, of_label[label])

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return values that are everywhere those of the nearest known pixel.

        Args:
            values: (h, w) or (h, w, c).
        """
        return np.take(values.reshape(-1, *values.shape[2:]), self.index, axis=0)
