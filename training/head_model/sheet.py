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
    irises = model.points478()[[468, 473]]
    apart = np.linalg.norm(model.vertices[:, None] - irises, axis=2).min(1)
    colours[(model.labels == 6) & (apart < 5.5)] = [0.25, 0.35, 0.45]
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


def write_surface(model: HeadModel, path: Path) -> None:
    """Draw what lies on the surface: tracked and iBUG points, scalp weight, texture map."""
    size = (560, 620)
    camera = np.array([[2300.0, 0, size[0] / 2], [0, 2300.0, size[1] / 2], [0, 0, 1.0]])
    weight = model.scalp_weight[:, None] * np.array([[0.2, 0.7, 0.2]])
    bare = np.full((len(model.vertices), 3), 0.72)
    tracked = _dots(model.points478(), 0.9, (0.1, 0.15, 0.85))
    ibug = _dots(model.points68(), 1.3, (0.85, 0.1, 0.1))
    shown = [(_mesh(model, bare), tracked, ibug, yaw) for yaw in (0, 45, 80)]
    rows = []
    with Renderer(size) as renderer:
        for skin, dots, marks, yaw in shown:
            rows.append(_draw_turned(renderer, [skin, dots, marks], yaw, camera, 1000.0))
        scalp = _mesh(model, bare * (1 - model.scalp_weight[:, None]) + weight)
        for yaw in (30, 140):
            rows.append(_draw_turned(renderer, [scalp], yaw, camera, 1250.0))
    rows.append(_map_picture(model, size))
    tiles = np.vstack([np.hstack(rows[:3]), np.hstack(rows[3:])])
    Image.fromarray(tiles).save(path)
    print(f"{path.name}: {tiles.shape[1]} × {tiles.shape[0]}", flush=True)


Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]


def _mesh(model: HeadModel, colours: np.ndarray) -> Mesh:
    return model.vertices.astype(np.float64), model.triangles, colours


def _dots(places: np.ndarray, radius: float, colour: tuple[float, float, float]) -> Mesh:
    """Put a small octahedron at each place."""
    corners = radius * np.concatenate([np.eye(3), -np.eye(3)])
    faces = np.array(
        [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    )
    vertices = (places[:, None] + corners).reshape(-1, 3)
    triangles = (np.arange(len(places))[:, None, None] * 6 + faces).reshape(-1, 3)
    return vertices, triangles, np.tile(colour, (len(vertices), 1))


def _draw_turned(
    renderer: Renderer, meshes: list[Mesh], yaw: float, camera: np.ndarray, away_mm: float
) -> np.ndarray:
    layers = []
    for vertices, triangles, colours in meshes:
        placed = (vertices - [0, 62, 0]) @ rotation(yaw).T + [0, 0, away_mm]
        normals = vertex_normals(placed, triangles)
        layers.append(Layer(placed, triangles, normals, colours))
    return renderer.draw(layers, camera)


def _map_picture(model: HeadModel, size: tuple[int, int]) -> np.ndarray:
    """Draw the edges of the texture map, coloured by region."""
    picture = Image.new("RGB", (size[0] * 2, size[1] * 2), "white")
    draw = ImageDraw.Draw(picture)
    corners = model.uv * size[0] * 2 + [0, size[1] - size[0]]
    for triangle in model.triangles:
        colour = tuple(int(200 * c) for c in LABEL_COLOURS[model.labels[triangle[0]]])
        ring = [tuple(corners[vertex]) for vertex in (*triangle, triangle[0])]
        draw.line(ring, fill=colour, width=1)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
