"""Make the clip that comes with voltface: ``python -m training.demo_clip``.

A rendered head that talks (MakeHuman, CC0), a cut, and NASA's portrait of Eileen Collins
(public domain, from scikit-image) before a moving virtual camera, with a made-up sound track.
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np

from training.demo_head import FPS, mouth_opening, talking_head

SIZE = (640, 480)
HEAD_FRAMES, PORTRAIT_FRAMES = 84, 66
_SOUND_HZ = 44100
_FACE_PART = (slice(50, 320), slice(190, 460))
# what the camera looks at in the 512 × 512 photograph, first and last
_FIRST_MIDDLE_PX, _LAST_MIDDLE_PX = np.array([244.0, 184.0]), np.array([238.0, 168.0])


def moving_portrait(size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """Show the astronaut through a hand-held camera that pans, zooms and rolls.

    Args:
        size: (width, height) of the frames in pixels.
        count: how many frames.

    Yields:
        (H, W, 3) uint8 RGB frames; no border of the photograph ever shows.
    """
    from skimage import data  # noqa: PLC0415  only the training extra brings it

    photo = data.astronaut()
    for share in np.linspace(0, 1, count):
        frame_from_photo = camera_move(float(share), size)
        flags = cv2.INTER_CUBIC
        yield cv2.warpAffine(photo, frame_from_photo, size, flags=flags)


def camera_move(share: float, size: tuple[int, int]) -> np.ndarray:
    """Return the (2, 3) affine frame_from_photo after a share 0…1 of the camera's move."""
    eased = 0.5 - 0.5 * np.cos(np.pi * share)
    zoom = 1.38 + 0.17 * eased
    roll = np.radians(2.2) * np.sin(2 * np.pi * 1.1 * share)
    shake = 2.5 * np.array([np.sin(9 * share + 1), np.sin(13 * share)])
    middle = (1 - eased) * _FIRST_MIDDLE_PX + eased * _LAST_MIDDLE_PX + shake
    turn = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return np.column_stack([turn, np.array(size) / 2 - turn @ middle])


def sound_track(seconds: float) -> np.ndarray:
    """Return (N,) float32 sound: a voice-like hum that follows the mouth, and a soft chord."""
    time_s = np.arange(round(seconds * _SOUND_HZ)) / _SOUND_HZ
    pitch_hz = 118 + 12 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / _SOUND_HZ
    opening = mouth_opening(time_s)
    voice = sum(
        np.exp(-(((n * 118 - 550 - 350 * opening) / 420) ** 2)) * np.sin(n * phase)
        for n in range(1, 16)
    )
    voice *= opening * (time_s < HEAD_FRAMES / FPS)
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.18, 329.63, 440.0))
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * time_s / seconds)
    return (0.11 * voice + 0.02 * swell * chord).astype(np.float32)


def write_clip(path: Path, frames: Iterable[np.ndarray], sound: np.ndarray) -> None:
    """Write H.264 and AAC that every player opens.

    Args:
        path: an mp4 file.
        frames: (H, W, 3) uint8 RGB, of one size.
        sound: (N,) float32 mono at 44.1 kHz.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "21", "preset": "slow"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.max_b_frames = 2
        speech = container.add_stream("aac", rate=_SOUND_HZ, layout="mono")
        speech.bit_rate = 64_000
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = _SOUND_HZ, 0, Fraction(1, _SOUND_HZ)
        container.mux(speech.encode(block))
        container.mux(speech.encode(None))


def write_face(path: Path, pixels: np.ndarray) -> None:
    """Write the part of a frame around the face, for `voltface doctor` to look at."""
    face = pixels[_FACE_PART]
    cv2.imwrite(str(path), np.ascontiguousarray(face[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """Write the clip where the package carries it, or elsewhere."""
    default = Path(__file__).parents[1] / "stream" / "assets" / "demo.mp4"
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=default)
    path: Path = parser.parse_args().output
    path.parent.mkdir(exist_ok=True)
    data = Path(os.environ.get("VOLTFACE_DATA", "../shared/data"))
    head = list(talking_head(data / "makehuman", SIZE, HEAD_FRAMES))
    frames = chain(head, moving_portrait(SIZE, PORTRAIT_FRAMES))
    write_clip(path, frames, sound_track((HEAD_FRAMES + PORTRAIT_FRAMES) / FPS))
    write_face(path.with_name("face.jpg"), head[0])
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
