"""MediaPipe's face detectors and face mesh, called for one region at a time.

The stock Face Mesh graph keeps its own regions between frames and forgets whose they were.
Here the same networks run on regions that the tracker chooses: that gives each face its
identity, lets far faces in through the full-range detector, and makes the cost independent of
the size of the picture, since only a crop of 192 × 192 pixels enters the mesh network.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from stream.choices import EngineName
from stream.closing import Closing
from stream.frame import POINT_COUNT
from stream.mediapipe_graph import Graph, picture, read_messages
from stream.mesh_network import CROP_SIZE, open_mesh_network
from stream.quiet import quiet_stderr

_LOOK_SIZE = (8, 8)
_DETECTOR_SIDE = 384  # detectors see at most 192 pixels; twice that leaves them room to average
ROI_SCALE = 1.5  # the margin around the points with which the mesh network was trained
_LEFT_EYE_OUTER, _RIGHT_EYE_OUTER = 263, 33  # the person's left eye is on the right

_DETECTOR_GRAPH = """
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "FaceDetection{reach}RangeCpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
}}
"""


@dataclass(frozen=True, slots=True)
class Roi:
    """A square region of the frame, turned with the face.

    Attributes:
        x, y: its centre in frame pixels.
        side: its side in frame pixels.
        angle: radians, clockwise in the picture.
        score: how sure the detector was, 0…1.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0
    score: float = 1.0

    def frame_from_crop(self) -> np.ndarray:
        """Return the (2, 3) affine map from crop pixels (192 × 192) to frame pixels."""
        scale = self.side / CROP_SIZE
        c, s = scale * math.cos(self.angle), scale * math.sin(self.angle)
        half = CROP_SIZE / 2
        return np.array(
            [[c, -s, self.x - half * (c - s)], [s, c, self.y - half * (s + c)]], np.float64
        )


@dataclass(frozen=True, slots=True)
class Mesh:
    """What the mesh network saw in one region.

    Attributes:
        points_px: (478, 3) float32, as in `stream.frame.Face`.
        score: how sure the network is that the region holds a face, 0…1.
        look: (8, 8, 3) float32, the region's mean colours.
    """

    points_px: np.ndarray
    score: float
    look: np.ndarray


def roi_from_points(points_px: np.ndarray) -> Roi:
    """Return the region in which the mesh network should look for these (478, 3) points."""
    xy = points_px[:, :2].astype(np.float64)
    across = xy[_LEFT_EYE_OUTER] - xy[_RIGHT_EYE_OUTER]
    angle = math.atan2(across[1], across[0])
    upright_from_frame = np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    upright = xy @ upright_from_frame.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = upright_from_frame.T @ ((low + high) / 2)
    side = ROI_SCALE * float(np.max(high - low))
    return Roi(float(centre[0]), float(centre[1]), side, angle)


class FaceNet(Closing):
    """The networks, opened once and shared by every face; a context manager.

    Calls must come from one thread at a time.

    Args:
        engine: what runs the mesh network; see `open_mesh_network`.
        still: it looks at single pictures.
    """

    def __init__(self, engine: EngineName = "auto", *, still: bool = False) -> None:
        self._mesh = open_mesh_network(engine, still=still)
        with quiet_stderr():
            self._near, self._far = (
                Graph(_DETECTOR_GRAPH.format(reach=reach), {"detections": read_messages})
                for reach in ("Short", "Full")
            )
            self._warm_up()

    def _warm_up(self) -> None:
        """Run every graph once: they chatter, and take longest, on their first picture."""
        blank = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
        self.mesh(blank, Roi(CROP_SIZE / 2, CROP_SIZE / 2, CROP_SIZE))
        for far in (False, True):
            self.detect(blank, far=far)

    def close(self) -> None:
        """Give the networks back; safe to call twice."""
        for network in (self._mesh, self._near, self._far):
            network.close()

    @property
    def as_stats(self) -> dict[str, dict[str, str]]:
        """What ``--stats`` says of what runs the mesh network."""
        return {"face_mesh": self._mesh.as_stats}

    def mesh(self, pixels: np.ndarray, roi: Roi) -> Mesh | None:
        """Find the 478 points of the face in one region.

        Args:
            pixels: (H, W, 3) uint8 RGB frame.
            roi: where to look.

        Returns:
            The points, or None where the network sees no face.
        """
        crop = crop_roi(pixels, roi)
        found = self._mesh(crop)
        if found is None:
            return None
        points_crop, score = found
        frame_from_crop = roi.frame_from_crop()
        points = np.empty((POINT_COUNT, 3), np.float32)
        points[:, :2] = points_crop[:, :2] @ frame_from_crop[:, :2].T + frame_from_crop[:, 2]
        points[:, 2] = points_crop[:, 2] * (roi.side / CROP_SIZE)
        look = cv2.resize(crop, _LOOK_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        return Mesh(points, score, look)

    def detect(self, pixels: np.ndarray, *, far: bool) -> list[Roi]:
        """Find faces anywhere in a picture.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            far: use the detector for small faces (below about a fifth of the picture).

        Returns:
            Regions for `mesh`, best score first.
        """
        small, scale = _shrink(pixels)
        graph = self._far if far else self._near
        (detections,) = graph(image=picture(small))
        size = np.array([small.shape[1], small.shape[0]], np.float64)
        rois = [_roi_from_detection(found, size, scale) for found in detections or ()]
        return sorted(rois, key=lambda roi: -roi.score)


def crop_roi(pixels: np.ndarray, roi: Roi) -> np.ndarray:
    """Cut a region out of a frame as (192, 192, 3) uint8; beyond the frame its edge repeats."""
    frame_from_crop = roi.frame_from_crop()
    factor = 2 ** int(math.log2(max(1.0, roi.side / CROP_SIZE)))  # others average slowly
    if factor >= 2:  # average first: bare bilinear sampling would make the points flicker
        pixels, corner = _shrunk_part(pixels, roi, factor)
        frame_from_crop[:, 2] -= corner
        frame_from_crop /= factor
    half = 0.5  # OpenCV puts pixel centres at whole numbers
    frame_from_crop[:, 2] += frame_from_crop[:, :2] @ (half, half) - half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (CROP_SIZE, CROP_SIZE)
    return cv2.warpAffine(
        pixels, frame_from_crop, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def _shrunk_part(pixels: np.ndarray, roi: Roi, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Average the part of the frame around a region over factor × factor blocks.

    Returns:
        The smaller picture, and the (2,) frame position of its corner in pixels.
    """
    height, width = pixels.shape[:2]
    reach = roi.side * (abs(math.cos(roi.angle)) + abs(math.sin(roi.angle))) / 2 + 2 * factor
    spans = []
    for centre, length in ((roi.x, width), (roi.y, height)):
        low = min(max(int(centre - reach), 0), max(length - factor, 0))
        count = max(1, (min(int(centre + reach), length) - low) // factor)
        spans.append((low, count))
    (left, columns), (top, rows) = spans
    part = pixels[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return small, np.array([left, top], np.float64)


def _shrink(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a copy that is small enough for the detectors, and frame pixels per its pixel."""
    factor = max(1, max(pixels.shape[:2]) // _DETECTOR_SIDE)
    step = factor // 3  # of a huge picture, every few pixels are plenty
    if step >= 2:
        pixels, rest = pixels[::step, ::step], factor // step
        factor = step * rest
    else:
        rest = factor
    rows, columns = (max(1, length // rest) for length in pixels.shape[:2])
    whole = np.ascontiguousarray(pixels[: rows * rest, : columns * rest])
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), factor


def _roi_from_detection(found: Any, size: np.ndarray, scale: float) -> Roi:  # noqa: ANN401
    """Return the region around a detected face, upright by the line between its eyes."""
    location = found.location_data
    box = location.relative_bounding_box
    centre = np.array([box.xmin + box.width / 2, box.ymin + box.height / 2]) * size * scale
    side = ROI_SCALE * scale * max(box.width * size[0], box.height * size[1])
    right_eye, left_eye = location.relative_keypoints[:2]
    across = (left_eye.x - right_eye.x, left_eye.y - right_eye.y) * size
    angle = math.atan2(across[1], across[0])
    return Roi(float(centre[0]), float(centre[1]), float(side), angle, float(found.score[0]))
