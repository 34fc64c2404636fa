"""MediaPipe's face detectors and face mesh, called for one region at a time.

The stock Face Mesh graph keeps its own regions between frames and forgets whose they were.
Here the same networks run on regions that the tracker chooses: that gives each face its
identity, lets far faces in through the full-range detector, and makes the cost independent of
the size of the picture, since only a crop of 192 × 192 pixels enters the graph.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from stream.closing import Closing
from stream.frame import POINT_COUNT
from stream.mediapipe_graph import (
    Graph,
    message,
    picture,
    read_message,
    read_messages,
    read_number,
    switch,
)
from stream.quiet import quiet_stderr

with quiet_stderr():
    from mediapipe.framework.formats import rect_pb2

CROP_SIZE = 192  # the side of the mesh network's input
_LOOK_SIZE = (8, 8)
_DETECTOR_SIDE = 384  # detectors see at most 192 pixels; twice that leaves them room to average
ROI_SCALE = 1.5  # the margin around the points with which the mesh network was trained
_LEFT_EYE_OUTER, _RIGHT_EYE_OUTER = 263, 33  # the person's left eye is on the right
_BYTES_PER_POINT = 17  # tag, length and three tagged floats of a serialised landmark

_MESH_GRAPH = """
input_stream: "image"
input_stream: "roi"
input_side_packet: "with_attention"
output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""
_DETECTOR_GRAPH = """
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "FaceDetection{reach}RangeCpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
}}
"""
_SCORE_STREAM = "facelandmarkcpu__face_presence_score"


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
    """

    def __init__(self) -> None:
        with quiet_stderr():
            self._mesh = Graph(
                _MESH_GRAPH,
                {"landmarks": read_message, _SCORE_STREAM: read_number},
                {"with_attention": switch(True)},
            )
            self._near, self._far = (
                Graph(_DETECTOR_GRAPH.format(reach=reach), {"detections": read_messages})
                for reach in ("Short", "Full")
            )
            self._graphs = [self._mesh, self._near, self._far]
            self._warm_up()

    def _warm_up(self) -> None:
        """Run every graph once: they chatter, and take longest, on their first picture."""
        blank = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
        self.mesh(blank, Roi(CROP_SIZE / 2, CROP_SIZE / 2, CROP_SIZE))
        for far in (False, True):
            self.detect(blank, far=far)

    def close(self) -> None:
        """Give the networks back; safe to call twice."""
        graphs, self._graphs = self._graphs, []
        for graph in graphs:
            graph.close()

    def mesh(self, pixels: np.ndarray, roi: Roi) -> Mesh | None:
        """Find the 478 points of the face in one region.

        Args:
            pixels: (H, W, 3) uint8 RGB frame.
            roi: where to look.

        Returns:
            The points, or None where the network sees no face.
        """
        crop = crop_roi(pixels, roi)
        landmarks, score = self._mesh(image=picture(crop), roi=message(_WHOLE))
        if landmarks is None:
            return None
        points_crop = _points_from_landmarks(landmarks) * CROP_SIZE
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


_WHOLE = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0)


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


def _points_from_landmarks(landmarks: Any) -> np.ndarray:  # noqa: ANN401  a generated class
    """Return (478, 3) float32 from a NormalizedLandmarkList, through its fixed wire format.

    Reading the 1434 numbers one attribute at a time takes longer than fitting the head.
    """
    raw = np.frombuffer(landmarks.SerializeToString(), np.uint8)
    if raw.size != POINT_COUNT * _BYTES_PER_POINT:
        numbers = [(point.x, point.y, point.z) for point in landmarks.landmark]
        return np.array(numbers, np.float32)
    records = raw.reshape(POINT_COUNT, _BYTES_PER_POINT)[:, 2:].reshape(POINT_COUNT, 3, 5)
    return np.ascontiguousarray(records[:, :, 1:]).view("<f4")[..., 0]


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
