import threading

import numpy as np
import pytest
from mediapipe.python import packet_creator

from stream.mediapipe_graph import Graph, picture, plane, read_number

ECHO = """
input_stream: "said"
input_stream: "shown"
output_stream: "heard"
output_stream: "seen"
node { calculator: "PassThroughCalculator" input_stream: "said" output_stream: "heard" }
node { calculator: "PassThroughCalculator" input_stream: "shown" output_stream: "seen" }
"""


@pytest.fixture
def echo():
    with Graph(ECHO, {"heard": read_number, "seen": _shape}) as graph:
        yield graph


def _shape(packet):
    _shape.threads.add(threading.get_ident())
    return plane(packet).shape


_shape.threads = set()


def test_outputs_come_in_their_order(echo):
    blank = picture(np.zeros((4, 6, 3), np.uint8))
    assert echo(said=packet_creator.create_float(2.5), shown=blank) == [2.5, (4, 6, 3)]
    assert _shape.threads == {threading.get_ident()}


def test_what_a_graph_does_not_answer_is_none(echo):
    assert echo(said=packet_creator.create_float(1.0)) == [1.0, None]
    blank = picture(np.zeros((4, 6, 3), np.uint8))
    assert echo(shown=blank) == [None, (4, 6, 3)]  # and not what it said before


def test_a_closed_graph_says_so(echo):
    echo.close()
    echo.close()
    with pytest.raises(ValueError, match="closed"):
        echo(said=packet_creator.create_float(1.0))


def test_a_faulty_configuration_is_refused():
    with pytest.raises((RuntimeError, ValueError), match="NoSuchCalculator"):
        Graph('node { calculator: "NoSuchCalculator" }', {})
