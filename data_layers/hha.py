"""Encodes depth as HHA (Gupta, Girshick, Arbeláez and Malik, ECCV 2014), the second input of the
NYUDv2 nets.

Red, green and blue are the horizontal disparity, the height above the lowest point and the angle
between the surface and gravity, fitted to bytes. Gravity is the direction that makes most surfaces
level or upright, so the camera may be tilted.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d

from fcn.errors import DataError
from fcn.io import replacing
from fcn.memory import SHARE, free_memory
from fcn.text import gigabytes

from .images import open_image, read_depth


class Camera(NamedTuple):
    """A pinhole camera in pixels; the centre of the first pixel is at (1, 1), as MATLAB counts."""

    fx: float
    fy: float
    cx: float
    cy: float


NYUD_CAMERA = Camera(518.8579, 519.4696, 325.5824, 253.7362)
# Metres. Depth outside them is not a measurement but a hole, a wrong unit or not a number.
MIN_DEPTH, MAX_DEPTH = 0.001, 1000.0
# Half sides of the windows that surfaces are fitted in: fine for the angle, coarse to find gravity.
FINE, COARSE = 3, 10
# Degrees within which a surface is level or upright, and how often gravity is estimated again.
THRESHOLDS = (45, 5), (15, 5)
MAX_BYTES_PER_PIXEL = 400  # that are held at once


def point_cloud(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return H×W×3 points in centimetres, x right, y down, z forward, of H×W depth in metres."""
    y, x = np.ogrid[1 : depth.shape[0] + 1, 1 : depth.shape[1] + 1]
    z = 100 * depth
    return np.stack([(x - camera.cx) / camera.fx * z, (y - camera.cy) / camera.fy * z, z], axis=-1)


def _moments(image: np.ndarray, radius: int, order: int) -> dict[tuple[int, int], np.ndarray]:
    """Return the sums of image · dx^i · dy^j over the window around each pixel, by (i, j) with
    i + j ≤ order, each H×W."""
    steps = np.arange(-radius, radius + 1.0)
    sums = {}
    for i in range(order + 1):
        across = correlate1d(image, steps**i, axis=1, mode='constant')
        for j in range(order + 1 - i):
            sums[i, j] = correlate1d(across, steps**j, axis=0, mode='constant')
    return sums


def normals(depth: np.ndarray, measured: np.ndarray, radius: int, camera: Camera) -> np.ndarray:
    """Return the unit normal of the surface around each pixel of H×W depth: H×W×3, pointing away
    from the camera.

    A plane n·p = 1 divided by z is linear in the pixel's place, 1/z = a·dx + b·dy + c, so a, b and
    c come by least squares over the `measured` pixels, H×W bool, of a square window. The normal is
    0 where those all lie on one line.
    """
    ones = _moments(measured.astype(np.float64), radius, 2)
    inverse = np.divide(1, depth, where=measured, out=np.zeros(depth.shape))
    inverse = _moments(inverse, radius, 1)
    rows = np.array(
        [
            [ones[2, 0], ones[1, 1], ones[1, 0]],
            [ones[1, 1], ones[0, 2], ones[0, 1]],
            [ones[1, 0], ones[0, 1], ones[0, 0]],
        ]
    )
    cofactors = np.array([np.cross(rows[i - 2], rows[i - 1], axis=0) for i in range(3)])
    # By Cramer's rule, all three times the determinant: only their direction is wanted.
    a, b, c = np.einsum('ijhw,jhw->ihw', cofactors, [inverse[1, 0], inverse[0, 1], inverse[0, 0]])
    y, x = np.ogrid[1 : depth.shape[0] + 1, 1 : depth.shape[1] + 1]
    normal = np.stack(
        [a * camera.fx, b * camera.fy, c + a * (camera.cx - x) + b * (camera.cy - y)], axis=-1
    )
    normal[c < 0] *= -1
    # The moments are whole numbers, so the determinant of pixels on a line is 0 and not nearly 0.
    normal[(rows[0] * cofactors[0]).sum(0) == 0] = 0
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return normal / np.where(length > 0, length, 1)


def gravity(normal: np.ndarray) -> np.ndarray:
    """Return the unit vector that points down, from …×3 normals; those that are 0 do not count.

    Starting from the camera's own y axis, it turns to where the level surfaces' normals are most
    parallel to it and the upright ones' most orthogonal. Where surfaces leave it open (one wall
    says little), it turns as little as they allow.
    """
    normal = normal.reshape(-1, 3)
    down = np.array([0.0, 1.0, 0.0])
    for degrees, rounds in THRESHOLDS:
        for _ in range(rounds):
            cosine = np.abs(normal @ down)
            level = normal[cosine > np.cos(np.radians(degrees))]
            upright = normal[cosine < np.sin(np.radians(degrees))]
            values, vectors = np.linalg.eigh(upright.T @ upright - level.T @ level)
            best = vectors[:, values <= values[0] + 1e-9 * len(normal)]
            turned = best @ (best.T @ down)
            if np.linalg.norm(turned) > 1e-6:
                down = turned / np.linalg.norm(turned)
    return down


def encode(
    depth: np.ndarray, missing: np.ndarray | None = None, camera: Iterable[float] = NYUD_CAMERA
) -> np.ndarray:
    """Return the HHA, H×W×3 uint8, of H×W depth in metres.

    The channels are 31000 / z with z at least 100 cm; height above the lowest point in cm; and
    degrees between gravity and the normal, which points away from the camera, plus 38: floors have
    38, walls 128, ceilings 218. The lowest point is taken to be 130 cm below the camera if the
    image shows none 90 cm below it.

    Pixels without depth (0, or not finite) are black. Pixels of `missing`, H×W bool, have a depth
    that was filled in: they get a disparity and a height, but no surface is fitted to them. The
    angle is 0 where no surface can be fitted. Raises DataError if no pixel was measured, or if no
    pinhole camera has the numbers of `camera`.
    """
    camera = check_camera(camera)
    depth = np.asarray(depth, np.float64)
    known = (depth >= MIN_DEPTH) & (depth <= MAX_DEPTH)
    measured = known if missing is None else known & ~np.asarray(missing, bool)
    if not measured.any():
        raise DataError(
            f'no pixel has a measured depth in {MIN_DEPTH:g}–{MAX_DEPTH:g} m; check the unit'
        )
    points = point_cloud(np.where(known, depth, 0), camera)
    z = points[..., 2]
    normal = normals(z, measured, FINE, camera)
    down = gravity(normals(z, measured, COARSE, camera))
    height = -points @ down
    lowest = height[known].min()
    height -= lowest if lowest <= -90 else -130
    angle = np.degrees(np.arccos(np.clip(normal @ down, -1, 1))) + 128 - 90
    hha = np.stack(
        [31000 / np.maximum(z, 100), height, np.where(normal.any(axis=-1), angle, 0)], axis=-1
    )
    hha[~known] = 0
    return (np.clip(hha, 0, 255) + 0.5).astype(np.uint8)


def check_camera(camera: Iterable[float]) -> Camera:
    """Return the four numbers as a Camera. Raises DataError if no pinhole camera has them."""
    camera = Camera(*map(float, camera))
    if not (
        1 <= min(camera.fx, camera.fy) <= max(camera.fx, camera.fy) <= 1e6
        and max(abs(camera.cx), abs(camera.cy)) <= 1e6
    ):
        raise DataError(
            f'camera {" ".join(f"{number:g}" for number in camera)}: give FX FY CX CY in pixels, '
            'the focal lengths 1 to a million, the centre at most a million away'
        )
    return camera


def encode_file(
    file: Path,
    target: Path,
    raw: Path | None = None,
    unit: float = 0.001,
    camera: Iterable[float] = NYUD_CAMERA,
) -> None:
    """Encode the depth PNG `file` as the PNG `target`.

    A depth of 1 means `unit` metres. Where the PNG `raw` has 0, depth was filled in. Raises
    DataError for a file that cannot be read or encoded, and for one that memory does not hold.
    """
    with open_image(file) as image:
        width, height = image.size
    needed, available = MAX_BYTES_PER_PIXEL * width * height, SHARE * free_memory()
    if needed > available:
        raise DataError(
            f'{file}: to encode {width}×{height} needs {gigabytes(needed)} of memory and '
            f'{gigabytes(available)} may be taken; scale it down, or end other programs'
        )
    depth = read_depth(file)
    missing = None
    if raw is not None:
        missing = read_depth(raw) == 0
        if missing.shape != depth.shape:
            raise DataError(
                f'{raw}: the raw depth is {missing.shape[1]}×{missing.shape[0]}, '
                f'the filled depth {depth.shape[1]}×{depth.shape[0]}; they must be equal'
            )
    try:
        hha = encode(depth.astype(np.float64) * unit, missing, camera)
    except DataError as error:
        raise DataError(f'{file}: {error}') from error
    with replacing(target, durable=False) as partial:
        Image.fromarray(hha).save(partial, 'PNG')
