"""What ``--engine`` means: the named engine must be able to run here."""

import logging

from engines.backends import BACKENDS
from engines.opening import shipped
from stream.choices import EngineName

_log = logging.getLogger("voltface")


def check_engine(engine: EngineName) -> None:
    """Refuse an engine that is not here, and say what runs where nothing of its kind does.

    While no network of its own is shipped, all networks are those of MediaPipe, which run in
    MediaPipe's own runtime, but for Face Mesh in OpenVINO; the statistics name what runs.

    Raises:
        UserError: if the engine's package or the driver that it needs is missing.
    """
    if engine == "auto":
        return
    BACKENDS[engine].require()
    if not shipped():
        _log.warning(
            "--engine %s is here, but this version has no network of its own for it to run: "
            "MediaPipe's networks run on the CPU, in OpenVINO (Face Mesh) and MediaPipe",
            engine,
        )
