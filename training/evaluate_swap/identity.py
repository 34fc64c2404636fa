"""Who is it? Judged by dlib's face recognition, which nothing here was trained with.

Its package is no dependency: it may lie in an environment of its own. This file is then run by
that environment's interpreter, and only needs numpy, dlib and face_recognition_models there::

    python -m venv judge
    judge/bin/pip install dlib-bin face_recognition_models "setuptools<81" numpy
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_JITTERS = 0


def descriptors(
    pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray], python: str | None
) -> np.ndarray | None:
    """Return (N, 128) descriptors of faces; None where dlib is not installed.

    Args:
        pictures: RGB.
        boxes: (4,) left, top, right, bottom of the face in each.
        python: interpreter that has dlib; this one unless given.
    """
    with tempfile.TemporaryDirectory() as folder:
        ask, answer = Path(folder) / "ask.npz", Path(folder) / "answer.npy"
        arrays = {f"picture{n}": picture for n, picture in enumerate(pictures)}
        np.savez(ask, boxes=np.stack(boxes), **arrays)
        command = [python or sys.executable, str(Path(__file__)), str(ask), str(answer)]
        ran = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        return np.load(answer) if ran.returncode == 0 else None


def main(ask: str, answer: str) -> None:
    """Describe the faces of one file into another."""
    import dlib  # noqa: PLC0415  no dependency
    import face_recognition_models as models  # noqa: PLC0415

    network = dlib.face_recognition_model_v1(models.face_recognition_model_location())
    aligner = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    detector = dlib.get_frontal_face_detector()
    found = []
    with np.load(ask) as stored:
        for number, box in enumerate(stored["boxes"]):
            picture = np.ascontiguousarray(stored[f"picture{number}"])
            wanted = dlib.rectangle(*(round(float(side)) for side in box))
            seen = [face for face in detector(picture, 0) if face.intersect(wanted).area() > 0]
            face = max(seen, key=lambda one: one.intersect(wanted).area(), default=wanted)
            shape = aligner(picture, face)
            found.append(network.compute_face_descriptor(picture, shape, _JITTERS))
    np.save(answer, np.array(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
