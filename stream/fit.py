"""Fitting: the head model laid onto the tracked points of a face.

A head is identity, expression and pose. Pose and expression are found anew in each frame by a
few damped Gauss-Newton steps that start from the last frame. Identity is what all frames agree
on: each frame adds what it knows about identity once its own pose and expression are taken out
(a Schur complement), so that identity settles over seconds and then stays.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack

from stream.frame import POINT_COUNT, Face, Head
from stream.geometry import pinhole_camera, rigid_transform
from stream.head_model import HeadModel
from stream.linearise import (
    POSE_COUNT,
    Observation,
    PointBasis,
    Pose,
    jacobian,
    points_camera,
    pose_from_points,
    residuals,
)
from stream.smooth import OneEuro, OneEuroRotation, SmoothSettings
