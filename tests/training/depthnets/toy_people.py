"""A few people of the head model, seen from several sides, as keypoints."""

import numpy as np

from stream.geometry import pinhole_camera, project, rotation_from_angles
from stream.head_model import load_head_model
from training.depthnets.keypoints import KeypointSet, normalised


def toy_people(count=12, views=4, points=68, pictures=0, seed=0):
    rng = np.random.default_rng(seed)
    model, camera = load_head_model(), pinhole_camera(256, 256)
    places, depths, people, yaws = [], [], [], []
    for person in range(count):
        identity = rng.normal(size=len(model.identity_basis))
        for _ in range(views):
            expression = rng.random(52) * (rng.random(52) < 0.1)
            make = model.points478 if points == 478 else model.points68
            yaw = rng.uniform(-40, 40)
            turn = rotation_from_angles(yaw, rng.uniform(-15, 15), rng.uniform(-5, 5))
            head = make(identity, expression) @ turn.T + [0, 0, 500]
            places.append(project(head, camera))
            depths.append((head[:, 2] - head[:, 2].mean()) * camera[0, 0] / head[:, 2].mean())
            people.append(person)
            yaws.append(yaw)
    shape = (len(people), pictures, pictures, 3)
    return normalised(
        KeypointSet(
            points=np.array(places),
            person=np.array(people),
            name=f"{count} toy people",
            depth=np.array(depths),
            yaw_deg=np.array(yaws, np.float32),
            pictures=rng.integers(0, 255, shape, np.uint8) if pictures else None,
        )
    )
