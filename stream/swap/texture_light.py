"""Light on a flattened face: estimated with spherical harmonics, and taken away.

A skin that scatters light evenly shows albedo × irradiance, and irradiance is within a percent
nine spherical harmonics of the normal (Ramamoorthi and Hanrahan 2001; Deep 3D Portrait, eq. 2,
uses the same nine). What they cannot say, such as the shadow of a nose or of a cap, is found
from the symmetry of faces. All colours here are linear in light, 1 for white.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.fill import pull_push

DISPLAY_GAMMA = 2.2

_RIDGE = 0.01
_STIFFNESS = np.array([0.01, 1, 1, 1, 2, 2, 2, 2, 2])
_ROUNDS, _OUTLIER = 4, 0.25  # of the robust fit; of log colour
_LEAST_SHADE, _MOST_SHADE = 0.25, 2.5  # of the mean light
_DARK = 0.004
_BROAD = 0.05  # of the texture's side: what is smoother is light, not skin
_SHADOW = (0.25, 0.5)  # of log colour, below the mirror half: begins to be, and is, a shadow
_SHADOW_BLUR, _SHADOW_WIDTH = 0.004, 0.03  # of the texture's side
_SHARE = 0.5  # of broad differences from the expected skin that are held to be light
_LOCAL = 0.03  # of the texture's side: around a texel, for the regression
_SURE_OF_LIGHT = 0.02  # of squared log colour: smaller shading is believed
_CREASE, _CREASE_AROUND = 0.004, 0.03  # of the texture's side: width of creases, and beside
_GLOSS_SCALE = 0.012  # of the texture's side
_GLOSS_AROUND, _TINT = 4.0, 2.0  # surroundings of a highlight, in its scale; how soon they tint it


def linear_from_display(colours: np.ndarray) -> np.ndarray:
    """0…255 as displayed → linear light, 0…1, float32."""
    return (np.clip(colours, 0, 255).astype(np.float32) / 255) ** DISPLAY_GAMMA


def display_from_linear(linear: np.ndarray) -> np.ndarray:
    """Linear light → 0…255 as displayed, float32."""
    return 255 * np.clip(linear, 0, 1).astype(np.float32) ** (1 / DISPLAY_GAMMA)


def harmonics(normals: np.ndarray) -> np.ndarray:
    """Evaluate nine real spherical harmonics of unit vectors: (…, 3) → (…, 9) float32.

    In the order and scale that `stream.face_3dmm` documents for its light.
    """
    x, y, z = (np.asarray(normals[..., axis], np.float32) for axis in range(3))
    values = [
        np.full_like(x, 0.282095), 0.488603 * y, 0.488603 * z, 0.488603 * x,
        1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z,
        0.546274 * (x * x - y * y),
    ]  # fmt: skip
    return np.stack(values, axis=-1)


def estimate_light(
    linear: np.ndarray, albedo: np.ndarray, normals: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Find the light that explains the colours of skin whose albedo is roughly known.

    Ridge regression per channel, weighted anew for outliers (highlights, cast shadows, brows).

    Args:
        linear: (N, 3) linear colours.
        albedo: (N, 3) linear albedo that is expected.
        normals: (N, 3) unit normals in the frame of the light.
        weight: (N,) trust in each.

    Returns:
        (9, 3) float32 coefficients for red, green, blue.
    """
    basis = harmonics(normals)
    light = np.zeros((9, 3), np.float32)
    trust = weight.astype(np.float32)
    for _ in range(_ROUNDS):
        for channel in range(3):
            rows = basis * albedo[:, channel, None]
            system = (rows * trust[:, None]).T @ rows
            ridge = _RIDGE * np.diag(_STIFFNESS) * np.trace(system) / 9
            light[:, channel] = np.linalg.solve(
                system + ridge + 1e-9 * np.eye(9), rows.T @ (trust * linear[:, channel])
            )
        expected = np.maximum(albedo * (basis @ light), _DARK)
        apart = np.abs(np.log(np.maximum(linear, _DARK) / expected)).mean(axis=1)
        trust = weight * np.minimum(1, _OUTLIER / np.maximum(apart, 1e-6))
    return light


def shading(light: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the (…, 3) light that arrives at normals (…, 3), kept within plausible bounds."""
    arriving = harmonics(normals) @ light
    middle = np.maximum(np.median(arriving.reshape(-1, 3), axis=0), _DARK)
    return np.clip(arriving, _LEAST_SHADE * middle, _MOST_SHADE * middle)


def without_shading(
    linear: np.ndarray, shade: np.ndarray, expected: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """Divide by the shading, as far as the picture around each texel follows it.

    Where the light is blocked or thrown back by the face itself, harmonics of the normal promise
    more than there is: under a nose, or at the rim of a face. So the share of the shading that
    is taken away is the slope of a local regression of the colours, over those of the expected
    skin, on it.

    Args:
        linear: (S, S, 3) linear colours.
        shade: (S, S, 3) as `shading` gives it.
        expected: (S, S, 3) linear albedo.
        skin: (S, S) trust in the skin that was seen, 0…1.

    Returns:
        (S, S, 3) linear, at the level of ``linear``.
    """
    weight = skin[..., None]
    mass = max(float(skin.sum()), 1e-6)

    def centred(logs: np.ndarray) -> np.ndarray:
        return logs - (logs * weight).sum(axis=(0, 1)) / mass

    told = centred(np.log(np.maximum(shade, _DARK)))
    apart = centred(np.log(np.maximum(linear, _DARK)) - np.log(np.maximum(expected, _DARK)))
    pair = np.stack([(told * apart).sum(axis=2), (told * told).sum(axis=2)], axis=2)
    pair = broad(pair, skin, _LOCAL * len(linear))
    slope = (pair[..., 0] + _SURE_OF_LIGHT) / (pair[..., 1] + _SURE_OF_LIGHT)
    return (linear * np.exp(-np.clip(slope, 0, 1.2)[..., None] * told)).astype(np.float32)


def without_uneven_light(albedo: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Take away broad differences between the halves of a face, which are light.

    Args:
        albedo: (S, S, 3) linear.
        seen: (S, S) trust, 0…1.

    Returns:
        (S, S, 3) linear.
    """
    logs = np.log(np.maximum(albedo, _DARK))
    mirrored, seen_there = logs[:, ::-1], seen[:, ::-1]
    both = np.minimum(seen, seen_there) ** 3  # what is seen obliquely misleads
    sigma = _BROAD * len(albedo)
    apart = broad(logs - mirrored, both, sigma)
    return np.exp(logs - 0.5 * apart).astype(np.float32)


def cast_shadow(albedo: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Find what is much darker than its mirror half over more than a brow's width.

    A hard lamp at one side leaves such places beside the nose and in the socket of the eye: no
    harmonics of the normal explain them. Moles, brows and lips are narrower.

    Args:
        albedo: (S, S, 3) linear, of which broad differences of the halves are gone.
        seen: (S, S) trust, 0…1.

    Returns:
        (S, S) float32, 0…1.
    """
    size = len(albedo)
    logs = np.log(np.maximum(albedo.mean(axis=2), _DARK))
    logs = cv2.GaussianBlur(logs, (0, 0), _SHADOW_BLUR * size)
    darker = (logs[:, ::-1] - logs) * np.minimum(seen, seen[:, ::-1])
    side = 2 * round(_SHADOW_WIDTH * size / 2) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wide = cv2.morphologyEx(darker, cv2.MORPH_OPEN, around)
    grown = cv2.dilate(np.clip((wide - _SHADOW[0]) / (_SHADOW[1] - _SHADOW[0]), 0, 1), around)
    return cv2.GaussianBlur(grown, (0, 0), 0.2 * side)


def without_broad_error(
    albedo: np.ndarray, expected: np.ndarray, skin: np.ndarray, share: float = _SHARE
) -> np.ndarray:
    """Take away a share of the broad differences from the skin that is expected.

    Args:
        albedo: (S, S, 3) linear.
        expected: (S, S, 3) linear, of any level.
        skin: (S, S) trust in the skin that was seen, 0…1.
        share: 0…1; all of it would also take what is broad and this person's own.
    """
    logs = np.log(np.maximum(albedo, _DARK)) - np.log(np.maximum(expected, _DARK))
    apart = broad(logs, skin, 1.5 * _BROAD * len(albedo))
    level = (apart * skin[..., None]).sum(axis=(0, 1)) / max(float(skin.sum()), 1e-6)
    return (albedo * np.exp(-share * (apart - level))).astype(np.float32)


def broad(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Return the smooth part of values (S, S, C), continued to where the weight (S, S) is 0."""
    small_side = max(32, int(len(values) / max(sigma / 3, 1)))
    small = cv2.resize(
        values * weight[..., None], (small_side, small_side), interpolation=cv2.INTER_AREA
    )
    share = cv2.resize(weight, (small_side, small_side), interpolation=cv2.INTER_AREA)
    sigma_small = sigma * small_side / len(values)
    total = cv2.GaussianBlur(small, (0, 0), sigma_small)
    mass = cv2.GaussianBlur(share, (0, 0), sigma_small)
    mean = total / np.maximum(mass, 1e-6)[..., None]
    filled = pull_push(mean, np.clip(mass * 20, 0, 1))
    return cv2.resize(filled, values.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def without_gloss(linear: np.ndarray, seen: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Damp highlights on skin: spots that are brighter and greyer than what is around.

    Gloss adds the colour of the lamp, which is nearly white, to that of the skin (the dichromatic
    reflection model, Shafer 1985): the least of the three channels rises most. What is left
    under a highlight has lost its hue, and takes that of its surroundings.

    Args:
        linear: (S, S, 3) linear.
        seen: (S, S) trust.
        skin: (S, S) where skin is, 0…1; elsewhere nothing changes.

    Returns:
        (S, S, 3) linear.
    """
    sigma = _GLOSS_SCALE * len(linear)
    level = cv2.GaussianBlur(linear, (0, 0), 0.25 * sigma)
    around = broad(level, np.maximum(seen * skin, 1e-4), _GLOSS_AROUND * sigma)
    least_around = np.maximum(around.min(axis=2), _DARK)
    least = level.min(axis=2) / least_around
    most = level.max(axis=2) / np.maximum(around.max(axis=2), _DARK)
    spot = np.clip(np.minimum(least - 1.08, 1.2 * (least - most)), 0, None) * skin
    matte = np.maximum(linear - (0.9 * spot * least_around)[..., None], 0.35 * linear)
    hue = around / np.maximum(around.mean(axis=2, keepdims=True), _DARK)
    tinted = matte.mean(axis=2, keepdims=True) * hue
    share = np.clip(_TINT * spot, 0, 1)[..., None]
    return (matte + share * (tinted - matte)).astype(np.float32)


def without_creases(albedo: np.ndarray, seen: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Raise dark creases to the level of the skin beside them; pores and stubble stay.

    Args:
        albedo: (S, S, 3) linear.
        seen: (S, S) trust.
        where: (S, S) 0…1, how far creases are raised.

    Returns:
        (S, S, 3) linear.
    """
    logs = np.log(np.maximum(albedo, _DARK))
    around = broad(logs, np.maximum(seen, 1e-4), _CREASE_AROUND * len(albedo))
    soft = cv2.GaussianBlur(logs, (0, 0), _CREASE * len(albedo))
    depth = np.clip(around - soft, 0, None)  # each channel by itself: creases are redder, too
    return (albedo * np.exp(where[..., None] * depth)).astype(np.float32)
