"""Inputs that are broken: what the user sees."""

import logging
import os
import stat
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import frames_of, read_stamp, refusal, stamped


def test_missing_file(tmp_path):
    error = refusal(tmp_path / "nothing.mp4")
    assert "Cannot find" in error.what
    assert "no such file" in error.why
    assert "camera" in error.remedy


def test_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "empty" in refusal(tmp_path / "empty.mp4").why


def test_folder(tmp_path):
    assert "folder" in refusal(tmp_path).why


def test_text_named_mp4(tmp_path):
    (tmp_path / "text.mp4").write_text("This is no video at all.\n" * 200)
    error = refusal(tmp_path / "text.mp4")
    assert "text.mp4" in error.what
    assert "not a video" in error.why
    assert "player" in error.remedy


def test_sound_only(make_clip, tmp_path):
    silent_movie = make_clip("both.mkv", sound=["aac"])
    with av.open(str(silent_movie)) as source, av.open(str(tmp_path / "s.m4a"), "w") as target:
        track = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    error = refusal(tmp_path / "s.m4a")
    assert "sound" in error.why
    assert "no video" in error.why


@pytest.mark.skipif(os.name == "nt", reason="permissions are of another kind there")
def test_no_permission(make_clip, monkeypatch):
    clip = make_clip()
    clip.chmod(0)
    if os.access(clip, os.R_OK):  # the superuser may read everything
        monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "")))
    error = refusal(clip)
    monkeypatch.undo()
    clip.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert "permission" in error.why
    assert "chmod" in error.remedy


def test_mp4_without_its_end_is_refused(make_clip, tmp_path):
    whole = make_clip(frames=100, size=(128, 96)).read_bytes()
    assert b"moov" in whole[len(whole) // 2 :]
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    error = refusal(tmp_path / "cut.mp4")
    assert "cut off" in error.why
    assert "copy it again" in error.remedy


CUT = {
    "front.mp4": {"muxer_options": {"movflags": "faststart"}},
    "fragments.mp4": {"muxer_options": {"movflags": "frag_keyframe+empty_moov"}},
    "cut.mkv": {},
    "cut.ts": {},
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("sound", [[], ["aac"]], ids=["silent", "sound"])
def test_what_is_left_of_a_cut_file_is_used_and_said(make_clip, tmp_path, caplog, name, sound):
    noise = np.random.default_rng(0).integers(0, 40, (96, 128, 3))
    whole = make_clip(
        "whole" + Path(name).suffix,
        frames=150,
        size=(128, 96),
        sound=sound,
        options={"g": "10", "crf": "25"},
        picture=lambda i, s: np.clip(stamped(i, s) + np.roll(noise, i, 1), 0, 255).astype(np.uint8),
        **CUT[name],
    ).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * 0.6) // 188 * 188 + 100])
    with caplog.at_level(logging.WARNING, "voltface"):
        _, frames = frames_of(tmp_path / name)
    assert 50 < len(frames) < 130
    stamps = [read_stamp(frame.pixels) for frame in frames[:50]]
    assert stamps == list(range(50))
    assert "cut off" in caplog.text
    assert name in caplog.text


def test_damage_in_the_middle_is_skipped_and_said(make_clip, caplog):
    path = make_clip("hurt.mp4", frames=100, codec="mpeg4", options={"g": "5"}, size=(128, 96))
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 5000
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(bytes(data))
    with caplog.at_level(logging.WARNING, "voltface"):
        _, frames = frames_of(path)
    assert len(frames) > 90
    assert read_stamp(frames[-1].pixels) == 99
    assert "hurt.mp4 is damaged" in caplog.text
    assert all(np.diff([frame.time_s for frame in frames]) > 0)


def test_a_whole_file_is_not_called_cut_off(make_clip, caplog):
    with caplog.at_level(logging.WARNING, "voltface"):
        frames_of(make_clip("a.avi", frames=75, tick=Fraction(1, 25), options={"bf": "0"}))
        frames_of(make_clip("a.mpg", frames=75, tick=Fraction(1, 25), codec="mpeg1video"))
        frames_of(make_clip("a.webm", frames=75, codec="libvpx-vp9"))
        frames_of(make_clip("long_sound.mkv", frames=25, sound=["aac"], sound_s=5.0))
        frames_of(make_clip("long_sound.mp4", frames=25, sound=["aac"], sound_s=5.0))
    assert caplog.text == ""
