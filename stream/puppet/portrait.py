"""The photo, taken apart once: head, matte, depth, sheets, and the background behind them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.composite import head_region, matte_at_frame
from stream.geometry import project, smoothstep
from stream.hair_depth import HairDepth
from stream.hair_network import HairNetwork
from stream.heads import HeadFinder
from stream.matte import MatteState, head_matte
from stream.mesh import HeadMesh, Sheet, build_mesh
from stream.plate import BackgroundPlate
from stream.pose import HeadMotion, seen_angles
from stream.puppet.acting import unseen_limit
from stream.puppet.clothes import (
    clothes_layer,
    clothes_let_go,
    clothes_share,
    clothes_told,
    lining,
    still_under_clothes,
    under_clothes,
)
from stream.puppet.fields import at_nodes
from stream.puppet.layers import (
    background_at_rest,
    denser_matte,
    firmer_matte,
    moving_layer,
    without_told_background,
)
from stream.puppet.photo import find_face
from stream.puppet.scenery import parted_from_scenery
from stream.puppet.whole_ears import with_whole_ears
from stream.region import NodeGrid, Region, resample_to_nodes
from stream.sight import FACE, HAIR, NECK, OCCLUDER, HeadSight
from stream.symmetry import with_mirror_half
from stream.underlay import Underlay

if TYPE_CHECKING:
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.networks import Networks
    from stream.raster import DepthRaster
    from stream.segment import PersonSegmenter
    from stream.settings import Settings
    from stream.sight import Sight
    from stream.swap.source_photo import PhotoSpec

_NODES = 128
# Between the eyes, above, below and beside them: where glasses lie.
_AROUND_EYES = np.array([168, 6, 197, 122, 351, 224, 444, 230, 450, 113, 342, 226, 446])
_LEAST_GLASSES = 0.1
_RAMP_NODES = 0.7  # of the border of the mirrored half
_BODY_SHARE = 1e-4  # of the head's motion, with which the body counts as something that moves
_HEAD_TURN, _NECK_YIELD_MM = (0.8, 0.97), 90.0
_HIDDEN_YIELD_MM = 130.0  # more than the neck that is seen, even where they lie together
_GAP_YIELD_MM = 60.0  # of what closes a depth step: any surface beside it is a better guess
_BESIDE_CLOTH_MM = 40.0  # skin below the face so near to clothes meets them when the head bows
_INSIDE = 0.5  # of the matte: less is background
_HAIR = (0.3, 0.7)  # likelihood of hair, over which hidden skin is left out
_WORN = (0.2, 0.6)  # share of cloth, under which skin begins to stay, and stays, behind it


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo, ready to be moved.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, at most 1080 rows.
        face: the tracked points in it.
        head: the fitted head.
        region: what may move.
        matte: (h, w) uint8 of `bare`, 255 inside.
        layer: (h, w, 4) uint8, what of `bare` moves, as of `moving_layer`.
        plate: (h, w, 3) uint8 background of the region, as the head uncovers it.
        plate_at_rest: (h, w, 3) uint8, the same where the head rests.
        mesh: sheets of the head.
        clothes: (h, w, 4) uint8 premultiplied, what covers the person.
        lining: (h, w, 4) uint8 premultiplied, clothes behind the person.
        bare: (h, w, 3) uint8, the region with skin under the clothes.
        glasses: something is worn before the eyes.
        skin: (rows, columns) float32 of the mesh's nodes, how likely they show bare skin.
    """

    pixels: np.ndarray
    face: Face
    head: Head
    region: Region
    matte: np.ndarray
    layer: np.ndarray
    plate: np.ndarray
    plate_at_rest: np.ndarray
    mesh: HeadMesh
    clothes: np.ndarray
    lining: np.ndarray
    bare: np.ndarray
    glasses: bool
    skin: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


class Studio:
    """Takes photos apart, with the stages that turn heads in a stream.

    Args:
        model: the head model.
        settings: of the path.
        networks: what is shipped and switched on.
        segmenter: the person network.
        raster: draws the head model.
    """

    def __init__(
        self, model: HeadModel, settings: Settings, networks: Networks,
        segmenter: PersonSegmenter, raster: DepthRaster,
    ) -> None:  # fmt: skip
        self._model, self._settings, self._raster = model, settings, raster
        self._networks = networks
        self._sight = HeadSight(segmenter, networks.get("head_segmentation"))

    def portrait(self, pixels: np.ndarray, spec: PhotoSpec) -> Portrait:
        """Take a photo apart.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            spec: the photo as the user named it.

        Raises:
            UserError: if it holds no face that can be moved.
        """
        settings = replace(self._settings, faces="all")
        network = self._networks.get("face_3dmm")
        with (
            ThreadPoolExecutor(1) as beside,
            HeadFinder(self._model, settings, network, beside, still=True) as finder,
        ):
            face, head = find_face(finder, pixels, spec)
        size = pixels.shape[1], pixels.shape[0]
        region = head_region(head, size)
        grid = NodeGrid.over(region, _NODES)
        hair = self._hair_depth()
        crop = np.ascontiguousarray(region.crop(pixels))
        sight = self._sight.look(crop)
        prior = hair.prior(head, grid)
        coarse = head_matte(crop, sight.person, prior, self._settings.matte, MatteState(), region)
        px_mm = head.camera_from_head[2, 3] / head.camera[0, 0]
        edge = parted_from_scenery(crop, matte_at_frame(coarse, region), sight, px_mm)
        plate = self._background(pixels, region, edge.hidden.astype(np.float32) / 255)
        node_matte = resample_to_nodes(edge.matte.astype(np.float32) / 255, grid)
        depth = hair.estimate(head, node_matte, grid, clothes_let_go(sight))
        depth = with_whole_ears(depth, self._model, head, sight)
        cloth = clothes_share(sight, crop)
        worn = resample_to_nodes(cloth, grid)
        turn = still_under_clothes(depth.turn, worn, node_matte, max(grid.step_px) * px_mm)
        depth = replace(depth, turn=np.maximum(turn, _BODY_SHARE * (node_matte > 0)))
        bare, bare_matte = under_clothes(crop, cloth, edge.matte, plate, px_mm)
        bare_matte = without_told_background(firmer_matte(crop, bare_matte), sight)
        bare_matte = denser_matte(bare, bare_matte, edge.background(plate))
        node_matte = resample_to_nodes(bare_matte.astype(np.float32) / 255, grid)
        mesh = build_mesh(depth, node_matte, head.camera[0, 0], self._settings.mesh)
        mirror = _to_the_other_side(self._model, head)
        mesh = with_mirror_half(mesh, crop, node_matte, head, mirror)
        told = clothes_told(sight, cloth)
        mesh = _neck_under_clothes(
            _only_the_head(mesh, node_matte), worn, told, max(grid.step_px) * px_mm
        )
        hidden = Underlay(self._model, self._settings.hair.neck_mm)
        under = hidden.sheet(bare, head, depth, node_matte, told)
        if under is not None:
            mesh = _with_hidden_skin(mesh, under, sight, head, node_matte)
        clothes = clothes_layer(crop, cloth, edge.matte, bare)
        glasses = wears_glasses(sight, face, region)
        own = np.where(cloth[..., None] > 0, bare, edge.own)
        layer = moving_layer(bare, bare_matte, plate, own)
        at_rest = background_at_rest(bare, layer, plate)
        skin = _bare_skin(told, grid)
        return Portrait(
            pixels, face, head, region, bare_matte, layer, plate, at_rest, mesh, clothes,
            lining(clothes, edge.matte, px_mm), bare, glasses, skin,
        )  # fmt: skip

    def _hair_depth(self) -> HairDepth:
        engine, settings = self._networks.get("hair_depth"), self._settings
        network = HairNetwork(engine, self._raster, settings.hair_network) if engine else None
        return HairDepth(self._model, self._raster, settings.hair, network)

    def _background(self, pixels: np.ndarray, region: Region, matte: np.ndarray) -> np.ndarray:
        plate = BackgroundPlate(self._settings.plate)
        try:
            plate.follow(pixels)
            plate.update(pixels, region, matte)
            plate.finish()
            return plate.background(region)
        finally:
            plate.close()


def wears_glasses(sight: Sight, face: Face, region: Region) -> bool:
    """Tell whether the network sees things that do not belong to the face around the eyes."""
    things = sight.share(OCCLUDER)
    if things is None:
        return False
    corner, size = np.array([region.x0, region.y0]), np.array([region.width, region.height])
    places = (face.points_px[_AROUND_EYES, :2] - corner) / size * things.shape[0]
    x, y = np.clip(places.astype(int), 0, things.shape[0] - 1).T
    return bool(things[y, x].mean() > _LEAST_GLASSES)


def _bare_skin(sight: Sight, grid: NodeGrid) -> np.ndarray:
    """Return (rows, columns) float32 how likely nodes show skin; 0 where nobody looked."""
    share = sight.share(FACE, NECK)
    if share is None:
        return np.zeros((grid.rows, grid.columns), np.float32)
    return cv2.resize(share, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA)


def _only_the_head(mesh: HeadMesh, matte: np.ndarray) -> HeadMesh:
    """Leave out of the mirrored half what hangs beside the head, and what the matte contradicts."""
    sheets = list(mesh.sheets)
    depth = mesh.depth
    around = np.ones((3, 3), np.uint8)
    person = cv2.dilate(matte, around)
    for number, sheet in enumerate(sheets):
        if sheet.kind == "mirror":
            places = sheet.places_px.reshape(-1, 2)
            within = at_nodes(person, depth.grid, places).reshape(matte.shape)
            solid = cv2.erode(depth.coverage, around) * np.clip((depth.turn - 0.5) / 0.3, 0, 1)
            opacity = sheet.opacity * solid * np.clip((within - 0.3) / 0.5, 0, 1)
            # Nodes end in steps, which a turn draws out to spikes; a ramp over a few does not.
            soft = cv2.GaussianBlur(opacity.astype(np.float32), (0, 0), _RAMP_NODES)
            sheets[number] = replace(sheet, opacity=np.clip(2 * soft - 1, 0, 1))
    return replace(mesh, sheets=tuple(sheets))


def _neck_under_clothes(mesh: HeadMesh, worn: np.ndarray, sight: Sight, node_mm: float) -> HeadMesh:
    """Let what follows the head in part stay behind the clothes; the head itself may cover them.

    The neck, seen or guessed under clothes, is none of the head's, however far it follows.
    """
    share = np.clip((_HEAD_TURN[1] - mesh.depth.turn) / (_HEAD_TURN[1] - _HEAD_TURN[0]), 0, 1)
    nodes = 2 * round(_BESIDE_CLOTH_MM / node_mm) + 1
    beside = cv2.dilate(worn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (nodes, nodes)))
    neck, hair = (
        0.0 if part is None else cv2.resize(part, share.shape[::-1], interpolation=cv2.INTER_AREA)
        for part in (sight.share(NECK), sight.share(HAIR))
    )
    beside = smoothstep(beside, *_WORN) * (1 - smoothstep(hair, *_HAIR))
    share = np.maximum.reduce([share, smoothstep(worn, *_WORN), beside, neck])
    back = (_NECK_YIELD_MM * share).astype(np.float32)
    sheets = []
    for sheet in mesh.sheets:
        there = at_nodes(back, mesh.depth.grid, sheet.places_px.reshape(-1, 2))
        further = there.reshape(sheet.yield_mm.shape)
        further = further + (_GAP_YIELD_MM if sheet.kind == "gap" else 0)
        sheets.append(replace(sheet, yield_mm=sheet.yield_mm + further))
    return replace(mesh, sheets=tuple(sheets))


def _with_hidden_skin(
    mesh: HeadMesh, under: Sheet, sight: Sight, head: Head, matte: np.ndarray
) -> HeadMesh:
    """Put skin that the photo hides beneath all that it shows, the neck under clothes, too.

    Under hair there is more hair, and what spans the background is not there. Where it finds its
    grain is told along its surface, which turns away to both sides.
    """
    opacity, hair, grid = under.opacity, sight.share(HAIR), mesh.depth.grid
    places = under.places_px.reshape(-1, 2).astype(float)
    if hair is not None:
        nodes = cv2.resize(hair, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA)
        opacity = opacity * (1 - smoothstep(at_nodes(nodes, grid, places)[None], *_HAIR))
    corners = places[under.triangles]
    middles = ((corners + np.roll(corners, 1, axis=1)) / 2).reshape(-1, 2)
    inside = at_nodes(matte, grid, middles).reshape(-1, 3).min(axis=1) > _INSIDE
    side = np.sign(under.places_px[..., 0] - project(head.camera_from_head[:3, 3], head.camera)[0])
    deep_px = under.depth_mm * head.camera[0, 0] / head.camera_from_head[2, 3]
    along = under.places_px + np.dstack([side * deep_px, np.zeros_like(deep_px)])
    behind = replace(
        under, opacity=opacity.astype(np.float32), colours_px=along.astype(np.float32),
        yield_mm=under.yield_mm + _HIDDEN_YIELD_MM, triangles=under.triangles[inside],
    )  # fmt: skip
    return replace(mesh, sheets=(behind, *mesh.sheets))


def _to_the_other_side(model: HeadModel, head: Head) -> HeadMotion:
    """Return the motion that shows most of what the photo hides of the head."""
    pose = head.camera_from_head
    pivot = pose[:3, :3] @ model.neck_joint + pose[:3, 3]
    yaw = float(seen_angles(pose)[0])
    turn = np.radians(np.sign(yaw) * unseen_limit(yaw))
    return HeadMotion(pivot, np.array([0.0, turn, 0.0]), np.zeros(3))
