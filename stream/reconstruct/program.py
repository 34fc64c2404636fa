"""The work of `voltface reconstruct`: pictures in, files out."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream.engine_choice import check_engine
from stream.errors import UserError
from stream.media import read_picture
from stream.media.picture import write_picture
from stream.media.specs import PICTURE_SUFFIXES, check_apart, check_target, path_of
from stream.reconstruct.depth import depth_picture
from stream.reconstruct.files import SUFFIXES, check_output, write_arrays, write_mesh
from stream.reconstruct.head import Reconstruction, Reconstructor
from stream.reconstruct.turntable import write_turntable
from stream.settings import Settings
from stream.stats import PROCESS_STARTED_S, Stats, check_writable, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger("voltface")
_FILMS = (".mp4", ".gif", ".mov", ".mkv", ".webm", ".m4v", ".avi")


@dataclass(frozen=True, slots=True)
class Order:
    """What one run shall do.

    Attributes:
        input: a picture, or a folder of pictures.
        output: a file, or for a folder a folder.
        suffix: of the files in an output folder.
        solid: close the head to one surface.
        detail: add fine detail.
        turntable: film of the turning head, or None.
        depth_picture: picture of the depth, or None.
        settings: of the path.
        stats_path: where statistics go.
        quiet: show no progress.
    """

    input: Path
    output: Path
    suffix: str = ".glb"
    solid: bool = False
    detail: bool = False
    turntable: Path | None = None
    depth_picture: Path | None = None
    settings: Settings = field(default_factory=Settings)
    stats_path: Path | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class _Task:
    """One picture and where what becomes of it goes."""

    picture: Path
    output: Path
    turntable: Path | None
    depth_picture: Path | None


def perform(order: Order) -> list[Path]:
    """Reconstruct the heads of a picture or of every picture of a folder.

    Returns:
        The files with heads that were written.

    Raises:
        UserError: if an input cannot be read, an output cannot be written, or no picture holds
            a face.
    """
    if order.stats_path:
        check_writable(order.stats_path)
    check_engine(order.settings.engine)
    tasks = _tasks(order)
    for task in tasks:
        outputs = (task.output, task.turntable, task.depth_picture, order.stats_path)
        check_apart(outputs, (task.picture,))
    stats = Stats(setup_s=PROCESS_STARTED_S)
    stats.start_s = time.perf_counter()
    with Reconstructor(order.settings, stats.timer) as reconstructor:
        written: list[Path] = []
        for task in _with_progress(tasks, order):
            stats.frames_in += 1
            begun_s = time.perf_counter()
            try:
                done = _one(task, order, reconstructor, stats)
            except UserError as error:
                if len(tasks) == 1:
                    raise
                _log.warning("%s", error)
                continue
            written += done
            stats.faces_tracked += len(done)
            stats.frame_done(begun_s)
        stats.engines = reconstructor.engines
    stats.end_s = time.perf_counter()
    if order.stats_path:
        write_json(order.stats_path, stats.as_json({}))
    if not written:
        raise UserError(
            f"nothing was made of the pictures in {order.input}",
            "none of them shows a face that is found",
            "Give pictures in which a face is seen and not too small",
        )
    return written


def _one(task: _Task, order: Order, reconstructor: Reconstructor, stats: Stats) -> list[Path]:
    """Do one picture; return the files with heads."""
    with stats.timer.stage("read"):
        pixels, _ = read_picture(task.picture)
    heads = reconstructor.heads(pixels, detail=order.detail)
    if not heads:
        raise UserError(
            f"no face found in the picture {task.picture}",
            "there must be one to make a head of",
            "Give a picture in which a face is seen and not too small",
        )
    written = []
    for number, head in enumerate(heads, start=1):
        path = numbered(task.output, number)
        with stats.timer.stage("write"):
            _write(path, head, order, reconstructor)
        _write_views(task, number, head, order, reconstructor, stats)
        written.append(path)
    return written


def _write(path: Path, head: Reconstruction, order: Order, reconstructor: Reconstructor) -> None:
    if path.suffix.lower() == ".npz":
        write_arrays(path, reconstructor.arrays(head, solid=order.solid))
    else:
        write_mesh(path, head.mesh(solid=order.solid))


def _write_views(
    task: _Task, number: int, head: Reconstruction, order: Order, reconstructor: Reconstructor,
    stats: Stats,
) -> None:  # fmt: skip
    if task.turntable:
        with stats.timer.stage("turntable"):
            film = numbered(task.turntable, number)
            write_turntable(film, reconstructor.context, head.mesh(solid=order.solid))
    if task.depth_picture:
        with stats.timer.stage("depth picture"):
            depth = reconstructor.arrays(head)["depth"]
            write_picture(numbered(task.depth_picture, number), depth_picture(depth))


def numbered(path: Path, number: int) -> Path:
    """Return the name of the n-th head: head.glb, head_2.glb, head_3.glb."""
    return path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")


def _tasks(order: Order) -> list[_Task]:
    """Find the pictures, and check what can be checked before any work.

    Raises:
        UserError: if an output cannot be written, or a folder holds no picture.
    """
    source, output = path_of(str(order.input)), path_of(str(order.output))
    for path, kinds, what in (
        (order.turntable, _FILMS, "a film: it ends in .mp4 or .gif, say"),
        (order.depth_picture, tuple(PICTURE_SUFFIXES), "a picture: it ends in .png, say"),
    ):
        if path is not None and path.suffix.lower() not in kinds:
            raise UserError(f"Cannot write {path}", f"it must be {what}", "Give another name")
    if source.is_dir():
        return _folder_tasks(source, output, order)
    check_output(output)
    for path in (order.turntable, order.depth_picture):
        if path is not None:
            check_target(path)
    return [_Task(source, output, order.turntable, order.depth_picture)]


def _folder_tasks(source: Path, output: Path, order: Order) -> list[_Task]:
    if output.suffix.lower() in SUFFIXES or output.is_file():
        raise UserError(
            f"Cannot write the heads of {source} to {output}",
            "many pictures make many files",
            "Give a folder as OUTPUT; --format says of which kind the files are",
        )
    pictures = sorted(p for p in source.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    if not pictures:
        known = ", ".join(sorted(PICTURE_SUFFIXES))
        raise UserError(
            f"no picture in the folder {source}", f"none ends in {known}", "Give another folder"
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or "the system refused"
        raise UserError(f"Cannot make the folder {output}", why, "Give another one") from error
    film = order.turntable.suffix if order.turntable else None
    shown = order.depth_picture.suffix if order.depth_picture else None
    return [
        _Task(
            picture,
            output / f"{picture.stem}{order.suffix}",
            output / f"{picture.stem}_turntable{film}" if film else None,
            output / f"{picture.stem}_depth{shown}" if shown else None,
        )
        for picture in pictures
    ]


def _with_progress(tasks: list[_Task], order: Order) -> Iterator[_Task]:
    """Give the tasks one by one, and show how far it has come."""
    console = Console(file=sys.stderr)
    if order.quiet or len(tasks) == 1 or not console.is_terminal:
        for number, task in enumerate(tasks, start=1):
            if len(tasks) > 1 and not order.quiet:
                line = f"{number} of {len(tasks)}: {task.picture.name}"
                console.print(line, highlight=False, soft_wrap=True)
            yield task
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(tasks))
        for task in tasks:
            progress.update(bar, description=task.picture.name)
            yield task
            progress.advance(bar)
