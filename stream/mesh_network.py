"""MediaPipe's network for the 478 points of a face, run by OpenVINO or by MediaPipe itself.

Both compute the same from the same file, to a thousandth of a pixel. OpenVINO needs three quarters
of MediaPipe's processor time for a picture, and longer to start: so videos and cameras use it, and
single pictures do not.
"""

import functools
import logging
from typing import Any

import numpy as np

from engines.engine import Engine
from engines.errors import EngineAbsentError
from engines.mediapipe_openvino import open_face_mesh
from stream.choices import EngineName
from stream.closing import Closing
from stream.frame import POINT_COUNT
from stream.mediapipe_graph import (
    MEDIAPIPE,
    Graph,
    message,
    network_file,
    picture,
    read_message,
    read_number,
    switch,
)
from stream.quiet import quiet_stderr

with quiet_stderr():
    from mediapipe.framework.formats import rect_pb2

_log = logging.getLogger("voltface")
CROP_SIZE = 192  # the side of the network's input
_NETWORK = "face_landmark/face_landmark_with_attention.tflite"
_MIN_PRESENCE = 0.5  # that of MediaPipe's graph, which gives no points below
_BYTES_PER_POINT = 17  # tag, length and three tagged floats of a serialised landmark
_GRAPH = """
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
_SCORE_STREAM = "facelandmarkcpu__face_presence_score"
_WHOLE = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0)

# (478, 3) float32 in pixels of the crop, z in the same unit; how sure it is of a face, 0…1.
CropPoints = tuple[np.ndarray, float]


class MeshNetwork(Closing):
    """The network, opened; calls must come from one thread at a time."""

    @property
    def as_stats(self) -> dict[str, str]:
        """What ``--stats`` says of what runs it."""
        raise NotImplementedError

    def __call__(self, crop: np.ndarray) -> CropPoints | None:
        """Find the points of the face in an upright crop.

        Args:
            crop: (192, 192, 3) uint8 RGB.

        Returns:
            The points and how sure it is; None where it sees no face.
        """
        raise NotImplementedError


class OpenVinoMesh(MeshNetwork):
    """The network in OpenVINO.

    Args:
        engine: of `engines.mediapipe_openvino.FACE_MESH`, which is closed with this.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Give the engine back."""
        self._engine.close()

    @property
    def as_stats(self) -> dict[str, str]:
        """See MeshNetwork."""
        return self._engine.as_stats

    def __call__(self, crop: np.ndarray) -> CropPoints | None:
        """See MeshNetwork."""
        answer = self._engine(picture=crop[None])
        score = float(answer["presence"][0, 0])
        return (answer["points"][0], score) if score > _MIN_PRESENCE else None


class GraphMesh(MeshNetwork):
    """The network in MediaPipe's own graph."""

    def __init__(self) -> None:
        with quiet_stderr():
            outputs = {"landmarks": read_message, _SCORE_STREAM: read_number}
            self._graph = Graph(_GRAPH, outputs, {"with_attention": switch(True)})

    def close(self) -> None:
        """Give the graph back."""
        self._graph.close()

    @property
    def as_stats(self) -> dict[str, str]:
        """See MeshNetwork."""
        return MEDIAPIPE

    def __call__(self, crop: np.ndarray) -> CropPoints | None:
        """See MeshNetwork."""
        landmarks, score = self._graph(image=picture(crop), roi=message(_WHOLE))
        if landmarks is None:
            return None
        return _points_from_landmarks(landmarks) * CROP_SIZE, score


def open_mesh_network(engine: EngineName = "auto", *, still: bool = False) -> MeshNetwork:
    """Open the network in OpenVINO, or in MediaPipe where that is better or all there is.

    That OpenVINO is here and fails is said once in a process.

    Args:
        engine: as the user chose; one that is named and not OpenVINO leaves it to MediaPipe.
        still: it looks at single pictures, for which opening takes longer than it saves.
    """
    if not still and engine in {"auto", "openvino"}:
        try:
            return OpenVinoMesh(open_face_mesh(network_file(_NETWORK).read_bytes()))
        except EngineAbsentError as error:
            _log.debug("MediaPipe runs its face mesh: %s", error.why)
        except Exception as error:  # noqa: BLE001  whatever fails, MediaPipe can do it
            _warn_once(str(error).strip().partition("\n")[0] or type(error).__name__)
    return GraphMesh()


@functools.cache
def _warn_once(why: str) -> None:
    _log.warning("MediaPipe runs its face mesh, more slowly than OpenVINO would: %s", why)


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
