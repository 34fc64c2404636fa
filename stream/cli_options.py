"""What the commands of ``voltface`` share: words for options, common options, the log."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from stream.choices import EngineName, FacesName, QualityName

if TYPE_CHECKING:
    from stream.settings import Settings

Input = Annotated[str, Positional, arg(metavar="INPUT")]
Output = Annotated[str, Positional, arg(metavar="OUTPUT")]
Degrees = Annotated[float, arg(metavar="D")]
Share = Annotated[float | None, arg(metavar="S")]  # 0 to 1; None leaves it to the settings


def option(metavar: str | None, default: str, text: str) -> Any:  # noqa: ANN401 - tyro's own marker
    """Mark an option whose absence leaves the word to the settings file."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {default})", help=text)


def words(kind: Any) -> PrimitiveConstructorSpec[str | None]:  # noqa: ANN401 - a Literal
    """Let an option take one of a Literal's words; None, its absence, is no word to offer."""
    choices = get_args(kind)
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}",
        instance_from_str=lambda given: given[0],
        is_instance=lambda value: value is None or value in choices,
        str_from_instance=lambda value: [str(value)],
        choices=choices,
    )


_ENGINE_HELP = (
    "What runs the networks that voltface brings (of MediaPipe's, OpenVINO runs Face Mesh in "
    "videos, and MediaPipe the others); "
    "auto takes the fastest that works here, a named engine must be installed."
)
_QUALITY_HELP = (
    "auto is high for files, though repose then leaves out the network that repairs guesses; "
    "where somebody watches live, it goes down when the machine cannot keep up, and up again."
)
_SEED_HELP = (
    "Give the same result every time. This version draws no random numbers, so that any N does: "
    "the background is completed in step with the frames, not beside them, which takes longer."
)


@dataclass(frozen=True, slots=True)
class Common:
    """For every command that takes frames through a path."""

    engine: Annotated[
        EngineName | None,
        words(EngineName),
        option(None, "auto", _ENGINE_HELP),
    ] = None
    faces: Annotated[
        FacesName | None,
        words(FacesName),
        option(None, "largest", "Work on the largest head or on all."),
    ] = None
    config: Annotated[Path | None, arg(metavar="FILE.toml")] = None
    """Settings; options on the command line win."""
    stats: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write statistics as JSON."""
    quality: Annotated[
        QualityName | None, words(QualityName), option(None, "auto", _QUALITY_HELP)
    ] = None
    seed: Annotated[int | None, option("N", "none", _SEED_HELP)] = None
    quiet: bool = False
    """Show no progress, only errors."""
    verbose: bool = False
    """Log more, and show where an error arose."""

    def settings(self) -> "Settings":
        """Return the settings of the file with the options on top, and set up the log."""
        set_up_log(self.verbose, self.quiet)
        from stream.settings import load_settings  # the stages, whose settings these are

        return load_settings(
            self.config,
            engine=self.engine,
            faces=self.faces,
            quality=self.quality,
            seed=self.seed,
        )


def set_up_log(verbose: bool, quiet: bool) -> None:
    """Send what the path logs to standard error, with tracebacks only if verbose."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("voltface: %(message)s") if verbose else _OneLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("voltface").setLevel(level)
    logging.captureWarnings(not verbose)


class _OneLine(logging.Formatter):
    """Formats what is logged as one line, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return f"voltface: {record.getMessage()}"
