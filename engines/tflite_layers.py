"""Reads the custom layers of a TensorFlow Lite file, which OpenVINO knows by their name only.

A .tflite file is a flatbuffer: tables whose fields have the numbers below, in the order of the
format's schema (``tensorflow/lite/schema/schema.fbs``). The options of a custom layer are a
flexbuffer inside of it. Both are read by Google's own package; what is here only walks the tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flatbuffers import encode, flexbuffers
from flatbuffers import number_types as numbers
from flatbuffers.table import Table

_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS = 1, 2
_SUBGRAPH_TENSORS, _SUBGRAPH_OPERATORS = 0, 3
_CODE_CUSTOM_NAME = 1
_OPERATOR_CODE, _OPERATOR_OUTPUTS, _OPERATOR_CUSTOM_OPTIONS = 0, 2, 5
_TENSOR_NAME = 3
_FIRST_FIELD, _BYTES_PER_FIELD = 4, 2  # where a table says how far off its fields lie
_BYTES_PER_NUMBER = 4


@dataclass(frozen=True, slots=True)
class CustomLayer:
    """A layer of a kind that is not TensorFlow Lite's own.

    Attributes:
        kind: its name in the file.
        output: name of the tensor that it gives.
        options: what the file says of it, by name; empty for a kind that takes no options.
    """

    kind: str
    output: str
    options: dict[str, Any] = field(default_factory=dict)


def custom_layers(tflite: bytes) -> list[CustomLayer]:
    """Return the custom layers of a network in the order in which they run.

    Args:
        tflite: a whole .tflite file, of one graph.

    Raises:
        struct.error, IndexError, TypeError: if it is none.
    """
    root = encode.Get(numbers.UOffsetTFlags.packer_type, tflite, 0)
    model = Table(tflite, root)
    names = [_text(code, _CODE_CUSTOM_NAME) for code in _tables(model, _MODEL_OPERATOR_CODES)]
    graph = next(_tables(model, _MODEL_SUBGRAPHS))
    tensors = list(_tables(graph, _SUBGRAPH_TENSORS))
    layers = []
    for operator in _tables(graph, _SUBGRAPH_OPERATORS):
        kind = names[_number(operator, _OPERATOR_CODE)]
        if kind:
            given = tensors[_whole_numbers(operator, _OPERATOR_OUTPUTS)[0]]
            layers.append(CustomLayer(kind, _text(given, _TENSOR_NAME), _options(operator)))
    return layers


def _options(operator: Table) -> dict[str, Any]:
    start, count = _vector(operator, _OPERATOR_CUSTOM_OPTIONS)
    return flexbuffers.Loads(operator.Bytes[start : start + count]) if count else {}


def _place(table: Table, number: int) -> int:
    """Return how far into a table a field lies; 0 where the field is left out."""
    return int(table.Offset(_FIRST_FIELD + _BYTES_PER_FIELD * number))


def _vector(table: Table, number: int) -> tuple[int, int]:
    """Return where the vector in a field starts, and how many elements it has."""
    place = _place(table, number)
    return (int(table.Vector(place)), int(table.VectorLen(place))) if place else (0, 0)


def _tables(table: Table, number: int) -> Iterator[Table]:
    start, count = _vector(table, number)
    size = numbers.UOffsetTFlags.bytewidth
    for index in range(count):
        yield Table(table.Bytes, table.Indirect(start + size * index))


def _whole_numbers(table: Table, number: int) -> list[int]:
    start, count = _vector(table, number)
    places = range(start, start + _BYTES_PER_NUMBER * count, _BYTES_PER_NUMBER)
    return [int(table.Get(numbers.Int32Flags, place)) for place in places]


def _number(table: Table, number: int) -> int:
    place = _place(table, number)
    return int(table.Get(numbers.Uint32Flags, table.Pos + place)) if place else 0


def _text(table: Table, number: int) -> str:
    place = _place(table, number)
    return table.String(table.Pos + place).decode() if place else ""
