"""A MediaPipe graph that runs in the thread which asks it, for one picture at a time.

MediaPipe's own way to call a graph from Python (`SolutionBase`) makes a new type for each answer,
and hands every node of the graph on to one of several threads: on busy cores each of these
hand-overs waits for its turn.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stream.closing import Closing
from stream.quiet import quiet_stderr

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with quiet_stderr():
    import mediapipe
    from mediapipe.python import (
        CalculatorGraph,
        ImageFormat,
        packet_creator,
        packet_getter,
        resource_util,
    )

MEDIAPIPE = {"backend": "mediapipe", "device": "cpu", "precision": "fp32"}  # as statistics say
_HERE = 'executor { type: "ApplicationThreadExecutor" }'  # nodes run while the caller waits
_STEP_US = 33_333  # between two pictures, which a graph tells apart by their time


class Graph(Closing):
    """A running graph; a context manager. Calls must come from one thread at a time.

    Args:
        config: text of the graph's configuration.
        outputs: the streams that are wanted, and how a packet of each is read.
        side: side packets by name.

    Raises:
        RuntimeError, ValueError: if the configuration is not that of a graph.
    """

    def __init__(
        self,
        config: str,
        outputs: Mapping[str, Callable[[Any], Any]],
        side: Mapping[str, Any] | None = None,
    ) -> None:
        resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
        self._readers = dict(outputs)
        self._packets: dict[str, Any] = {}
        self._time_us = 0
        self._graph: Any = CalculatorGraph(graph_config=config + _HERE)
        for name in self._readers:
            self._graph.observe_output_stream(name, self._packets.__setitem__, True)
        self._graph.start_run(dict(side or {}))

    def __call__(self, **inputs: Any) -> list[Any]:  # noqa: ANN401  packets have no public type
        """Run the graph once.

        Args:
            inputs: packets by the name of their stream, as `picture` and `message` make them.

        Returns:
            What each of the outputs holds, in their order; None where it holds nothing.

        Raises:
            RuntimeError: if a node fails.
            ValueError: after `close`.
        """
        if self._graph is None:
            raise ValueError("Graph: it was closed")
        self._packets.clear()
        self._time_us += _STEP_US
        for name, packet in inputs.items():
            self._graph.add_packet_to_input_stream(name, packet.at(self._time_us))
        self._graph.wait_until_idle()
        return [self._read(name) for name in self._readers]

    def _read(self, name: str) -> Any:  # noqa: ANN401
        packet = self._packets.get(name)
        return None if packet is None or packet.is_empty() else self._readers[name](packet)

    def close(self) -> None:
        """Free the graph; closing twice does no harm."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.close()


def picture(pixels: np.ndarray) -> Any:  # noqa: ANN401
    """Return the packet of an (h, w, 3) uint8 RGB picture, which is copied."""
    return packet_creator.create_image_frame(image_format=ImageFormat.SRGB, data=pixels)


def plane(packet: Any) -> np.ndarray:  # noqa: ANN401
    """Read the (h, w) float32 picture in a packet; not to be written to."""
    return np.asarray(packet_getter.get_image_frame(packet).numpy_view())


def network_file(name: str) -> Path:
    """Return the path of a network of MediaPipe's, by its path among those."""
    return Path(mediapipe.__file__).parent / "modules" / name


message, switch, choice = (
    packet_creator.create_proto,
    packet_creator.create_bool,
    packet_creator.create_int,
)
read_message, read_messages, read_number = (
    packet_getter.get_proto,
    packet_getter.get_proto_list,
    packet_getter.get_float,
)
