"""Pictures of the head model for the eye."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stream.head_model import HeadModel
from training.head_model.render import Layer, Renderer, vertex_normals

CELL = (300, 340)
COLUMNS = 8
# Skin, scalp, ear, neck, mouth interior, eyes.
LABEL_COLOURS = np.array(
    [
        [0.5, 0.5, 0.5],
        [0.86, 0.72, 0.64],
        [0.45, 0.36, 0.30],
        [0.90, 0.62, 0.48],
        [0.70, 0.66, 0.78],
        [0.62, 0.25, 0.28],
        [0.95, 0.95, 0.97],
    ]
)


def rotation(yaw: float, pitch: float = 0.0) -> np.ndarray:
    """Turn the nose to the right of the picture (yaw) and up (pitch), degrees: (3, 3)."""
    a, b = np.radians(yaw), np.radians(pitch)
    about_y = np.array(
        [[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]], dtype=float
    )
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]], dtype=float
    )
    return about_x @ about_y


def head_layer(
    model: HeadModel, vertices: np.ndarray, yaw: float, pitch: float = 0.0, close: bool = False
) -> list[Layer]:
    """Place a head before the sheet's camera; ``close`` frames the face alone."""
    middle = np.array([0.0, 82.0 if close else 75.0, 0.0])
    placed = (vertices - middle) @ rotation(yaw, pitch).T + [0, 0, 700.0 if close else 1000.0]
    colours = LABEL_COLOURS[model.labels]
    return [Layer(placed, model.triangles, vertex_normals(placed, model.triangles), colours)]


Cell = tuple[str, np.ndarray, float, bool]


def write_sheet(model: HeadModel, path: Path) -> None:
    """Draw mean, ±3σ of the first eight components and every face unit."""
    cells: list[Cell] = [
        (f"mean, yaw {yaw}", model.vertices, yaw, False)
        for yaw in (0, 30, 60, 90, 135, 180, -30, -60)
    ]
    for component in range(8):
        for sign in (-3, 3):
            weights = np.zeros(component + 1)
            weights[component] = sign
            shape = model.shape(weights)
            cells += [
                (f"component {component}, {sign:+d} sd", shape, yaw, False) for yaw in (0, 60)
            ]
    for number, name in enumerate(model.expression_names):
        strength = np.eye(len(model.expression_names))[number]
        title = name
        if name == "mouthClose":  # by its definition it closes the lips of an open jaw
            strength[model.expression_names.index("jawOpen")] = 1.0
            title = "mouthClose on jawOpen"
        shape = model.shape(None, strength)
        cells += [(title, shape, yaw, True) for yaw in (0, -40)]
    _draw(model, cells, path)


def write_people(model: HeadModel, path: Path, rng: np.random.Generator) -> None:
    """Draw 32 heads whose coefficients are normally distributed."""
    cells: list[Cell] = []
    for number in range(32):
        shape = model.shape(rng.normal(size=len(model.identity_basis)))
        cells += [(f"head {number}", shape, yaw, False) for yaw in (0, 45)]
    _draw(model, cells, path)


def _draw(model: HeadModel, cells: list[Cell], path: Path) -> None:
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (CELL[0] * COLUMNS, CELL[1] * rows), "white")
    camera = np.array([[1.15e3, 0, CELL[0] / 2], [0, 1.15e3, CELL[1] / 2], [0, 0, 1.0]])
    with Renderer(CELL) as renderer:
        for number, (title, shape, yaw, close) in enumerate(cells):
            layers = head_layer(model, shape, yaw, close=close)
            cell = Image.fromarray(renderer.draw(layers, camera))
            ImageDraw.Draw(cell).text((6, 4), title, fill="black")
            sheet.paste(cell, (number % COLUMNS * CELL[0], number // COLUMNS * CELL[1]))
    sheet.save(path)
    print(f"{path.name}: {sheet.width} × {sheet.height}", flush=True)
