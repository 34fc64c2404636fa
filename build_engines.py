"""Builds the engines of this machine from the shipped networks, and compares them.

``python build_engines.py [NAME ...]`` checks each network file, builds it for every backend that
is installed, compares what the engine gives with ONNX Runtime in float32, and prints a table.
What is up to date is not built again.
"""

import json as json_format
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from tyro.conf import FlagCreatePairsOff, Positional, arg

from engines.backends import BACKENDS, candidates
from engines.compare import Measured, check_network, measure, reference_answers
from engines.engine import Backend, Frames
from engines.errors import EngineAbsentError, NotShippedError, PrecisionAbsentError, UserError
from engines.manifest import EngineFolder
from engines.opening import Built, built_engine, choose_precision, open_built, read_network
from engines.spec import SPECS, WEIGHTS, NetSpec, Precision

BackendName = Literal["tensorrt", "tensorrt-rtx", "openvino", "onnxruntime"]

_FACE = Path(__file__).parent / "stream" / "assets" / "face.jpg"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_FRAMES_MAX = 64
_WIDTH = 120
_LEGEND = (
    "ms: median of a call with one picture; errors: absolute, over all outputs, beside ONNX "
    "Runtime in fp32. Engines are kept in"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        network, backend, precision: what was built.
        state: what came of it.
        device: what it ran on; empty where it did not run.
        bytes: size of the engine.
        measured: times and errors, where it ran.
        failed: whether something did not work that should.
    """

    network: str
    backend: str
    precision: str
    state: str
    device: str = ""
    bytes: int | None = None
    measured: Measured | None = None
    failed: bool = False

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        size = "" if self.bytes is None else f"{self.bytes / 1e6:.2f}"
        figures = ["", "", ""]
        if self.measured:
            found = self.measured
            figures = [
                f"{found.milliseconds:.2f}",
                f"{found.mean_error:.1e}",
                f"{found.worst_error:.1e}",
            ]
        return [self.network, self.backend, self.precision, size, *figures, self.state]


@dataclass(frozen=True, slots=True)
class Options:
    """How to build and compare.

    Attributes:
        precision: what to compute in; each backend's best unless given.
        weights: folder of the network files.
        frames: where real inputs come from; None for the picture that comes with voltface.
        threads: of the CPU.
        anew: build also what is up to date.
    """

    precision: Precision | None = None
    weights: Path = WEIGHTS
    frames: Path | None = None
    threads: int | None = None
    anew: bool = False


def build(
    names: Annotated[tuple[str, ...], Positional, arg(metavar="[NAME ...]")] = (),
    backend: BackendName | None = None,
    precision: Precision | None = None,
    weights: Annotated[Path, arg(metavar="FOLDER")] = WEIGHTS,
    frames: Annotated[Path | None, arg(metavar="PATH")] = None,
    threads: Annotated[int | None, arg(metavar="N")] = None,
    anew: bool = False,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> int:
    """Build the engines of this machine and compare them with ONNX Runtime in float32.

    Args:
        names: networks; all of them unless given.
        backend: build for this one; for every one that is installed unless given.
        precision: what to compute in; each backend's best on this device unless given.
        weights: folder of the network files.
        frames: real inputs to compare on and to calibrate int8 with: a picture, a folder of
            pictures, or an .npz with an array of shape (N, ...) for each input.
        threads: of the CPU.
        anew: build also what is up to date.
        json: write the figures to this file.
    """
    specs = [_spec(name) for name in names] or list(SPECS.values())
    backends = _backends(backend)
    options = Options(precision, weights, frames, threads, anew)
    rows = list(_with_progress(specs, backends, options))
    _show(rows)
    if json:
        text = json_format.dumps([asdict(row) for row in rows], indent=2) + "\n"
        _write(json, text)
    _complain(rows, names)
    return 0


def _spec(name: str) -> NetSpec:
    if name not in SPECS:
        known = ", ".join(SPECS)
        raise UserError(f'unknown network "{name}"', "there is none", f"Known are: {known}")
    return SPECS[name]


def _backends(name: str | None) -> list[Backend]:
    """Return the backend that was asked for, or every one that is installed."""
    if name:
        BACKENDS[name].require_package()
        return [BACKENDS[name]]
    found = []
    for backend in candidates("auto"):
        try:
            backend.require_package()
        except EngineAbsentError as error:
            logging.getLogger("voltface").info("%s", error)
        else:
            found.append(backend)
    if not found:
        remedy = f"Install one: {BACKENDS['openvino'].install}"
        raise UserError("nothing can be built", "no engine is installed", remedy)
    return found


def _with_progress(
    specs: Sequence[NetSpec], backends: Sequence[Backend], options: Options
) -> Iterator[Row]:
    console = Console(stderr=True)
    quiet = not console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=len(specs) * len(backends))

        def say(text: str) -> None:
            progress.update(task, description=text)

        for spec in specs:
            for row in _rows(spec, backends, options, say):
                progress.advance(task, len(backends) if not row.backend else 1)
                yield row


def _rows(
    spec: NetSpec,
    backends: Sequence[Backend],
    options: Options,
    say: Callable[[str], None],
) -> Iterator[Row]:
    """Give a row for each backend, or one that says why there is none."""
    say(f"{spec.name}: checking")
    try:
        onnx = read_network(spec, options.weights)
    except NotShippedError:
        yield Row(spec.name, "", "", "not shipped yet")
        return
    check_network(spec, onnx)
    frames = input_frames(spec, options.frames)
    answers = reference_answers(spec, onnx, frames)
    for backend in backends:
        say(f"{spec.name}: {backend.name}")
        yield _row(spec, backend, onnx, options, frames, answers)


def _row(
    spec: NetSpec,
    backend: Backend,
    onnx: bytes,
    options: Options,
    frames: Frames,
    answers: Sequence[dict[str, np.ndarray]],
) -> Row:
    """Build, open and compare one network on one backend."""
    row = Row(spec.name, backend.name, options.precision or "", "")
    cache = EngineFolder()
    try:
        precision = choose_precision(spec, backend, options.precision)
        row = replace(row, precision=precision)
        built = built_engine(
            spec, backend, onnx, precision, cache, frames=frames, anew=options.anew
        )
        row = replace(row, bytes=len(built.data), state=built.state)
        backend.require()
        return _compared(row, spec, backend, built, options, frames, answers)
    except EngineAbsentError as error:
        done = f"{row.state}, not run" if row.state else "not built"
        return replace(row, state=f"{done}: {error.why}", failed=not row.state)
    except PrecisionAbsentError as error:
        return replace(row, state=f"not built: {error.why}")
    except UserError as error:
        return replace(row, state=f"failed: {error.what}: {error.why}", failed=True)
    except Exception as error:  # noqa: BLE001  the other engines are still to be built
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return replace(row, state=f"failed: {reason}", failed=True)


def _compared(
    row: Row,
    spec: NetSpec,
    backend: Backend,
    built: Built,
    options: Options,
    frames: Frames,
    answers: Sequence[dict[str, np.ndarray]],
) -> Row:
    with open_built(spec, backend, built, options.threads, EngineFolder()) as engine:
        found = measure(engine, frames, answers)
        return replace(row, precision=engine.precision, device=engine.device, measured=found)


def input_frames(spec: NetSpec, path: Path | None) -> list[dict[str, np.ndarray]]:
    """Return inputs to compare on: real pictures, and samples for what a picture does not give.

    Args:
        spec: of the network.
        path: a picture, a folder of pictures, or an .npz with an array for each input.

    Raises:
        UserError: if there is nothing to read.
    """
    if path and path.suffix == ".npz":
        return _frames_of_arrays(spec, path)
    if path and path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _PICTURES)
    else:
        files = [path or _FACE]
    if not files:
        remedy = "Give a folder that holds JPEG or PNG pictures"
        raise UserError(f"no frames in {path}", "it holds no picture", remedy)
    size = next((tensor.shape[-1] for tensor in spec.inputs if tensor.name == "picture"), None)
    if size is None:  # keypoints are all that it takes
        return [spec.sample(seed=seed) for seed in range(_FRAMES_MAX)]
    pictures = [_picture(file, int(size)) for file in files[:_FRAMES_MAX]]
    pictures += [picture[..., ::-1] for picture in pictures[: _FRAMES_MAX // 2]]
    return [
        {**spec.sample(seed=seed), "picture": np.ascontiguousarray(picture)}
        for seed, picture in enumerate(pictures)
    ]


def _frames_of_arrays(spec: NetSpec, path: Path) -> list[dict[str, np.ndarray]]:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        what, why = f"cannot read the frames {path}", str(error) or "it is no .npz"
        raise UserError(what, why, "Give an .npz with an array for each input") from error
    known = {item.name: arrays[item.name] for item in spec.inputs if item.name in arrays}
    count = min((len(array) for array in known.values()), default=0)
    if not count:
        names = ", ".join(item.name for item in spec.inputs)
        raise UserError(f"no frames for {spec.name} in {path}", f"it takes {names}", "Add them")
    frames = []
    for index in range(min(count, _FRAMES_MAX)):
        given = {name: array[index : index + 1] for name, array in known.items()}
        try:
            frames.append(spec.checked({**spec.sample(seed=index), **given})[0])
        except ValueError as error:
            raise UserError(f"the frames in {path} do not fit", str(error), "Mend them") from error
    return frames


def _picture(path: Path, size: int) -> np.ndarray:
    """Return a picture as (1, 3, size, size), the middle square of it, 0 to 1."""
    import av  # noqa: PLC0415  only needed here

    from stream.media import read_picture  # noqa: PLC0415

    pixels, _ = read_picture(path)
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    frame = av.VideoFrame.from_ndarray(square, format="rgb24").reformat(size, size)
    return frame.to_ndarray().transpose(2, 0, 1)[None].astype(np.float32) / 255


def _show(rows: Sequence[Row]) -> None:
    """Print the table, and below it what does not fit into a cell."""
    plain = Console()
    console = plain if plain.is_terminal else Console(width=_WIDTH)
    close = console.width < _WIDTH
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 0 if close else 1))
    for title in ("network", "engine", "precision"):
        table.add_column(title, no_wrap=True)
    for title, least in (("MB", 4), ("ms", 5), ("mean error", 7), ("worst error", 7)):
        table.add_column(title, justify="right", min_width=least)  # a figure is never cut
    table.add_column("state", overflow="fold")
    built = [row for row in rows if row.backend]
    for row in built:
        table.add_row(*row.cells())
    if built:
        console.print(table)
    absent = [row.network for row in rows if not row.backend]
    if absent:
        console.print(f"Not shipped yet: {', '.join(absent)}", highlight=False)
    devices = sorted({f"{row.backend} on {row.device}" for row in rows if row.device})
    if devices:
        console.print(f"{', '.join(devices)}. {_LEGEND} {EngineFolder().path}", highlight=False)


def _complain(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Refuse where something that was asked for was not done."""
    tried = [row for row in rows if row.backend]
    built = {row.network for row in tried if row.bytes is not None}
    for row in sorted(tried, key=lambda row: not row.failed):
        if row.failed or row.network not in built:
            within = f" in {row.precision}" if row.precision else ""
            what = f"{row.network} was not built for {row.backend}{within}"
            why = row.state.removeprefix("failed: ").removeprefix("not built: ")
            raise UserError(what, why, "See voltface doctor, or choose another --backend")
    absent = [row.network for row in rows if not row.backend and row.network in names]
    if absent:
        what = f"not built: {', '.join(absent)}"
        why = "there is no network file of that name"
        raise UserError(what, why, "Give another folder with --weights")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        why = error.strerror or "the system refused"
        raise UserError(f"cannot write {path}", why, "Give another name") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 done, 2 the request cannot be met, 130 interrupted."""
    logging.basicConfig(level=logging.ERROR, format="voltface: %(message)s")
    logging.getLogger("voltface").setLevel(logging.WARNING)
    try:
        return tyro.cli(
            build,
            prog="build_engines.py",
            args=None if arguments is None else list(arguments),
            config=(FlagCreatePairsOff,),
        )
    except UserError as error:
        sys.stderr.write(f"build_engines.py: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
