"""From linear light to what a webcam or a phone hands over: the faults of a real camera."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np

_XYZ_ROW_BT601 = np.array([0.299, 0.587, 0.114], np.float32)
_XYZ_ROW_BT709 = np.array([0.2126, 0.7152, 0.0722], np.float32)
_SRGB_KNEE = 0.0031308


def photograph(
    linear_rgb: np.ndarray, rng: np.random.Generator, strength: float = 1.0
) -> np.ndarray:
    """Take a picture of a scene with a camera that is not perfect.

    In the order in which light and data pass: blur of the lens and of motion, exposure, white
    balance, noise of photons and of reading, tone curve, sharpening, lost resolution, wrong
    colour matrix, compression.

    Args:
        linear_rgb: (H, W, 3) float32, linear light, 1 is white.
        rng: draws every fault.
        strength: 0 for a perfect camera, 1 for the usual range of faults.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    light = _motion_blurred(_defocused(linear_rgb, rng, strength), rng, strength)
    light = light * _exposure_and_white(rng, strength)
    light = _noisy(light, rng, strength)
    picture = _toned(light, rng, strength)
    picture = _resampled(_sharpened(picture, rng, strength), rng, strength)
    picture = _recoloured(picture, rng, strength)
    return _compressed(picture, rng, strength)


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    """Return the sRGB encoding, 0…1, of linear light; what is over 1 is cut off."""
    light = np.clip(linear, 0.0, 1.0)
    root = np.maximum(light, np.float32(_SRGB_KNEE)) ** np.float32(1.0 / 2.4)
    return np.where(light <= _SRGB_KNEE, 12.92 * light, 1.055 * root - 0.055).astype(np.float32)


def _chance(rng: np.random.Generator, share: float, strength: float) -> bool:
    return bool(rng.random() < share * min(strength, 1.0))


def _defocused(light: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    sigma = strength * rng.gamma(1.2, 0.45) * light.shape[0] / 256
    return light if sigma < 0.25 else cv2.GaussianBlur(light, (0, 0), min(sigma, 3.0))


def _motion_blurred(light: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    if not _chance(rng, 0.25, strength):
        return light
    length = rng.uniform(2.0, 9.0) * light.shape[0] / 256
    angle = rng.uniform(0.0, np.pi)
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-length / 2, length / 2, 4 * half + 1):
        kernel[round(half + step * np.sin(angle)), round(half + step * np.cos(angle))] += 1.0
    return cv2.filter2D(light, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _exposure_and_white(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Return (3,) gains: stops of exposure, and warm to cool by red against blue."""
    exposure = 2.0 ** (strength * np.clip(rng.normal(-0.25, 0.4), -1.4, 0.6))
    warm, green = strength * rng.normal(0.0, 0.09), strength * rng.normal(0.0, 0.03)
    return (exposure * np.exp([warm, green, -warm])).astype(np.float32)


def _noisy(light: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add noise that grows with the root of light, coarser in colour than in brightness.

    A colour filter array measures each colour on a part of the pixels, so that its noise comes
    out of the interpolation smooth and blotchy.
    """
    level = strength * rng.gamma(1.1, 0.016)
    if level < 1e-4:
        return light
    height, width = light.shape[:2]
    fine = rng.standard_normal((height, width, 1), np.float32)
    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    amount = level * np.sqrt(np.maximum(light, 0.0) + 0.15 * level)
    return light + amount * (0.8 * fine + 0.6 * coarse)


def _toned(light: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Encode as sRGB, with an S-curve of contrast, a shoulder, vignetting and saturation."""
    height, width = light.shape[:2]
    if _chance(rng, 0.4, strength):
        y, x = np.ogrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
        falloff = 1.0 - rng.uniform(0.0, 0.25) * strength * (x * x + y * y)
        light = light * falloff.astype(np.float32)[..., None]
    light = np.maximum(light, 0.0)
    shoulder = 1.0 + strength * rng.uniform(0.0, 0.5)
    light = light * (1.0 + light / shoulder**2 * 0.2) / (1.0 + 0.2 * light)
    picture = srgb_encoded(light)
    bend = strength * rng.normal(0.0, 0.12)
    picture = picture + bend * (picture - 0.5) * picture * (1.0 - picture) * 4.0
    grey = picture @ _XYZ_ROW_BT709
    saturation = 1.0 + strength * rng.normal(0.0, 0.12)
    picture = grey[..., None] + saturation * (picture - grey[..., None])
    return np.clip(picture, 0.0, 1.0).astype(np.float32)


def _sharpened(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    if not _chance(rng, 0.4, strength):
        return picture
    blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.7, 1.8))
    return np.clip(picture + rng.uniform(0.2, 1.4) * (picture - blurred), 0.0, 1.0)


def _resampled(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Lose resolution, as a small camera picture that is shown larger does."""
    if not _chance(rng, 0.35, strength):
        return picture
    height, width = picture.shape[:2]
    share = rng.uniform(0.3, 0.9)
    small = (max(8, round(width * share)), max(8, round(height * share)))
    way_up = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[
        int(rng.choice(3, p=(0.6, 0.35, 0.05)))
    ]
    down = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return np.clip(cv2.resize(down, (width, height), interpolation=way_up), 0.0, 1.0)


def _recoloured(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Encode with one standard's matrix or range and decode with another's, as players do."""
    if not _chance(rng, 0.15, strength):
        return picture
    first, second = (_XYZ_ROW_BT601, _XYZ_ROW_BT709)[:: 1 if rng.random() < 0.5 else -1]
    luma = picture @ first
    red = (picture[..., 0] - luma) / (2 * (1 - first[0]))
    blue = (picture[..., 2] - luma) / (2 * (1 - first[2]))
    wrong_range = rng.random()
    if wrong_range < 0.3:  # limited range taken for full range: pale
        luma, red, blue = 16 / 255 + luma * 219 / 255, red * 224 / 255, blue * 224 / 255
    elif wrong_range < 0.5:  # the other way round: harsh
        luma, red, blue = (luma * 255 - 16) / 219, red * 255 / 224, blue * 255 / 224
    decoded_red = luma + 2 * (1 - second[0]) * red
    decoded_blue = luma + 2 * (1 - second[2]) * blue
    green = (luma - second[0] * decoded_red - second[2] * decoded_blue) / second[1]
    return np.clip(np.stack([decoded_red, green, decoded_blue], axis=-1), 0.0, 1.0)


def _compressed(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Compress as a picture (JPEG) or as the second frame of a video (H.264)."""
    pixels = np.rint(picture * 255.0).astype(np.uint8)
    if _chance(rng, 0.35, strength):
        return _jpeg(pixels, int(rng.integers(30, 95)))
    if _chance(rng, 0.45, strength):
        moved = tuple(rng.integers(-4, 5, 2).tolist())
        return _h264(pixels, int(rng.integers(24, 41)), moved)
    return pixels


def _h264(pixels: np.ndarray, rate_factor: int, moved: tuple[int, ...]) -> np.ndarray:
    """Pass a picture through a video codec, after one in which everything lies elsewhere."""
    height, width = pixels.shape[:2]
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    writer = av.VideoCodecContext.create("libx264", "w")
    writer.width, writer.height = even.shape[1], even.shape[0]
    writer.pix_fmt, writer.time_base = "yuv420p", Fraction(1, 25)
    writer.options = {"crf": f"{rate_factor}", "preset": "superfast", "tune": "zerolatency"}
    reader = av.VideoCodecContext.create("h264", "r")
    writer.thread_count = reader.thread_count = 1  # the same bits on every machine
    packets = []
    for time, shown in enumerate((np.roll(even, moved, (0, 1)), even)):
        frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
        frame = frame.reformat(format="yuv420p", threads=1)
        frame.pts = time
        packets += writer.encode(frame)
    packets += writer.encode(None)
    frames = [frame for packet in [*packets, None] for frame in reader.decode(packet)]
    return frames[-1].to_ndarray(format="rgb24", threads=1)[:height, :width]


def _jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
