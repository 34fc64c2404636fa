"""Built engines on disk, each with an entry that says what it was built from.

An engine is taken only where its entry names the same network file, backend version, device and
precision, and its bytes have the digest of the entry: a stale or damaged engine is never run.
Files are written beside their place and moved into it, so that no reader sees half a file.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import user_cache_path

from engines.spec import Precision

# Another number makes every engine that was built before stale.
_RECIPE = 2


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine was built from and for.

    Attributes:
        network: name of the spec.
        backend, version: what built it.
        onnx_sha256: digest of the network file.
        device: what it was built for.
        precision: what it computes in.
        part: ``engine``, or what else a backend keeps.
        calibration: digest of the frames that gave the ranges of int8; empty for any.
    """

    network: str
    backend: str
    version: str
    onnx_sha256: str
    device: str
    precision: Precision
    part: str = "engine"
    calibration: str = ""

    @property
    def slot(self) -> str:
        """Start of the file names: what replaces what."""
        device = hashlib.sha256(self.device.encode()).hexdigest()[:8]
        return f"{self.network}.{self.backend}.{self.precision}.{device}.{self.part}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the folder holds for a key.

    Attributes:
        data: the engine, where it is there, fresh and whole.
        fault: why one that is there cannot be taken.
    """

    data: bytes | None = None
    fault: str | None = None


class EngineFolder:
    """The folder of built engines."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "engines"

    def find(self, key: EngineKey) -> Found:
        """Return the engine of a key, or why there is none."""
        try:
            entry = json.loads(self._entry(key).read_text(encoding="utf-8"))
            if not isinstance(entry, dict):
                raise TypeError("an entry is a table")
            fault = _difference(key, entry)
            if fault:
                return Found(fault=fault)
            data = (self.path / Path(entry["file"]).name).read_bytes()
        except FileNotFoundError:
            fault = "its file is missing" if self._entry(key).exists() else None
            return Found(fault=fault)
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Found(fault=f"its entry cannot be read ({type(error).__name__})")
        if digest(data) != entry.get("sha256"):
            return Found(fault="its file is damaged")
        return Found(data)

    def store(self, key: EngineKey, data: bytes) -> None:
        """Keep an engine in place of what its slot held.

        Raises:
            OSError: if the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        sha256 = digest(data)
        name = f"{key.slot}.{sha256[:12]}.bin"
        write_atomically(self.path / name, data)
        entry = {
            "recipe": _RECIPE,
            **asdict(key),
            "file": name,
            "bytes": len(data),
            "sha256": sha256,
        }
        write_atomically(self._entry(key), (json.dumps(entry, indent=2) + "\n").encode())
        for old in self.path.glob(f"{key.slot}.*.bin"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def _entry(self, key: EngineKey) -> Path:
        return self.path / f"{key.slot}.json"


def _difference(key: EngineKey, entry: dict[str, object]) -> str | None:
    """Return in which way an entry is not that of the key."""
    words = {
        "onnx_sha256": "it was built from other weights",
        "version": f"it was built by {key.backend} {entry.get('version')}",
        "device": f"it was built for {entry.get('device')}",
        "calibration": "it was calibrated on other frames",
    }
    if entry.get("recipe") != _RECIPE:
        return "it was built by another version of voltface"
    for name, wanted in asdict(key).items():
        if entry.get(name) != wanted and not (name == "calibration" and not wanted):
            return words.get(name, f"its entry is that of another {name}")
    return None


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$VOLTFACE_CACHE``, or the user's cache."""
    given = os.environ.get("VOLTFACE_CACHE")
    return Path(given).expanduser() if given else user_cache_path("voltface", appauthor=False)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever reads a part of it.

    Raises:
        OSError: if it cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
