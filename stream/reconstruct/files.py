"""Writes heads as mesh files: glb, obj with mtl and picture, ply with picture, npz.

Mesh files hold the head upright in a space with y up and z out of the face, the origin in the
middle of the skull: millimetres in obj and ply, metres in glb as its standard asks.
"""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import trimesh

from stream.errors import UserError
from stream.media.partial import partial_path, write_refused
from stream.media.specs import check_target

if TYPE_CHECKING:
    from pathlib import Path

    from stream.reconstruct.assemble import FileMesh

SUFFIXES = (".glb", ".obj", ".ply", ".npz")
_UP = np.array([1.0, -1.0, -1.0])  # from y down, z away to y up, z near
_QUALITY = 94  # of the texture, JPEG
_FLOAT, _UINT = 5126, 5125
_VERTEX_DATA, _INDEX_DATA = 34962, 34963


def check_output(path: Path) -> None:
    """Refuse an output that cannot be written.

    Raises:
        UserError: its format is not known, or its folder is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"Cannot write {path}",
            f"{path.suffix or 'a name without an extension'} is not a format of heads",
            f"End the name in one of {', '.join(SUFFIXES)}",
        )
    check_target(path)


def write_mesh(path: Path, mesh: FileMesh) -> None:
    """Write a mesh with its texture in the format of the extension.

    Raises:
        UserError: it cannot be written.
    """
    writer = {".glb": _glb, ".obj": _obj, ".ply": _ply}[path.suffix.lower()]
    for name, content in writer(path, mesh).items():
        write_whole(path.with_name(name), content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    partial = partial_path(path)
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_refused(path, error) from None


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    partial = partial_path(path)
    packed = io.BytesIO()  # a disk that is full in mid-file leaves numpy's archive in disorder
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    try:
        partial.write_bytes(packed.getbuffer())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_refused(path, error) from None


def _jpeg(picture: np.ndarray) -> bytes:
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), settings)[1].tobytes()


def _obj(path: Path, mesh: FileMesh) -> dict[str, bytes]:
    material, picture = f"{path.stem}.mtl", f"{path.stem}.jpg"
    text = trimesh.exchange.obj.export_obj(
        _as_trimesh(mesh), include_normals=True, include_texture=True, digits=5,
        mtl_name=material, write_texture=False, header=None,
    )  # fmt: skip
    lines = ["newmtl material_0", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"map_Kd {picture}"]
    return {
        picture: _jpeg(mesh.picture),
        material: ("\n".join(lines) + "\n").encode(),
        path.name: text.encode(),
    }


def _ply(path: Path, mesh: FileMesh) -> dict[str, bytes]:
    """PLY with texture places per vertex, which MeshLab and Blender read, and colours besides."""
    picture = f"{path.stem}.jpg"
    solid = _as_trimesh(mesh)
    height, width = mesh.picture.shape[:2]
    x, y = (np.clip(mesh.uv * [width, height], 0, [width - 1, height - 1])).astype(int).T
    plain = trimesh.Trimesh(
        solid.vertices, mesh.triangles, vertex_normals=mesh.normals * _UP,
        vertex_colors=mesh.picture[y, x], process=False,
    )  # fmt: skip
    plain.vertex_attributes["s"] = mesh.uv[:, 0]
    plain.vertex_attributes["t"] = 1 - mesh.uv[:, 1]
    content = trimesh.exchange.ply.export_ply(plain, vertex_normal=True)
    head, mark, rest = content.partition(b"\nelement vertex")
    note = f"\ncomment TextureFile {picture}".encode()
    return {picture: _jpeg(mesh.picture), path.name: head + note + mark + rest}


def _as_trimesh(mesh: FileMesh) -> trimesh.Trimesh:
    uv = np.column_stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]])
    return trimesh.Trimesh(
        mesh.vertices_mm * _UP,
        mesh.triangles,
        vertex_normals=mesh.normals * _UP,
        visual=trimesh.visual.TextureVisuals(uv=uv),
        process=False,
    )


def _glb(path: Path, mesh: FileMesh) -> dict[str, bytes]:
    """Binary glTF 2.0; by hand, since trimesh compresses the texture anew, and worse."""
    vertices = (mesh.vertices_mm * _UP / 1000).astype("<f4")
    parts: list[tuple[bytes, dict[str, int]]] = [
        (vertices.tobytes(), {"target": _VERTEX_DATA}),
        ((mesh.normals * _UP).astype("<f4").tobytes(), {"target": _VERTEX_DATA}),
        (mesh.uv.astype("<f4").tobytes(), {"target": _VERTEX_DATA}),
        (mesh.triangles.astype("<u4").tobytes(), {"target": _INDEX_DATA}),
        (_jpeg(mesh.picture), {}),
    ]
    views, binary = [], b""
    for data, use in parts:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data), **use})
        binary += data + b"\0" * (-len(data) % 4)
    count = len(vertices)
    low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
    accessors = [
        {"bufferView": 0, "componentType": _FLOAT, "count": count, "type": "VEC3",
         "min": low, "max": high},
        {"bufferView": 1, "componentType": _FLOAT, "count": count, "type": "VEC3"},
        {"bufferView": 2, "componentType": _FLOAT, "count": count, "type": "VEC2"},
        {"bufferView": 3, "componentType": _UINT, "count": mesh.triangles.size, "type": "SCALAR"},
    ]  # fmt: skip
    attributes = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 0.9}
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "voltface"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": path.stem}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 3, "material": 0}]}],
        "materials": [{"name": path.stem, "pbrMetallicRoughness": surface, "doubleSided": True}],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": 4, "mimeType": "image/jpeg"}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    words = json.dumps(tree, separators=(",", ":")).encode()
    words += b" " * (-len(words) % 4)
    total = 12 + 8 + len(words) + 8 + len(binary)
    chunks = struct.pack("<4sIII4s", b"glTF", 2, total, len(words), b"JSON") + words
    return {path.name: chunks + struct.pack("<I4s", len(binary), b"BIN\0") + binary}
