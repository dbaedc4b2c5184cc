"""HHA: the authors' own image, scenes whose geometry is known, holes, and the command."""

import numpy as np
import pytest
from PIL import Image

from fcn.commands.hha import main
from fcn.data_layers import hha
from fcn.data_layers.hha import (
    FINE,
    NYUD_CAMERA,
    Camera,
    encode,
    encode_file,
    gravity,
    normals,
    point_cloud,
)
from fcn.errors import DataError

CAMERA = Camera(130.0, 120.0, 163.0, 122.0)
SIZE = 240, 320


def read(path):
    with Image.open(path) as image:
        return np.array(image)


def tilt(degrees):
    """The matrix that turns the world into what a camera sees that looks down by so much."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def room(planes, degrees=0, size=SIZE):
    """Depth in metres, which of `planes` is seen, and its height above −1.3 m in centimetres.

    A plane n·p = d of the level world, y down, is given as (n, d).
    """
    y, x = np.mgrid[1 : size[0] + 1, 1 : size[1] + 1]
    rays = np.stack(
        [(x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy, np.ones(size)], axis=-1
    )
    slopes = np.stack([rays @ (tilt(degrees) @ normal) / distance for normal, distance in planes])
    depth = 1 / slopes.max(axis=0)
    return depth, slopes.argmax(axis=0), 130 - 100 * depth * (rays @ (tilt(degrees) @ (0, 1, 0)))


FLOOR, WALL, CEILING, SIDE = ((0, 1, 0), 1.3), ((0, 0, 1), 4.0), ((0, -1, 0), 1.1), ((1, 0, 0), 1.5)
ROOM = [FLOOR, WALL, CEILING, SIDE]


def inner(seen, index, margin=FINE):
    """The pixels whose whole window shows the plane `index`."""
    clear = np.zeros(seen.shape, bool)
    windows = np.lib.stride_tricks.sliding_window_view(
        seen == index, (2 * margin + 1, 2 * margin + 1)
    )
    clear[margin:-margin, margin:-margin] = windows.all(axis=(2, 3))
    return clear


def test_the_authors_image(shared):
    """The sample was made of the filled depth, every pixel of it taken as measured."""
    folder = shared('data/hha')
    depth, raw, theirs = (read(folder / name) for name in ('0.png', '0_raw.png', 'matlab_hha.png'))
    ours = encode(depth / 1e4)
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 1
    assert (difference.mean(axis=(0, 1)) < 0.001).all()
    masked = np.abs(encode(depth / 1e4, missing=raw == 0).astype(int) - theirs)[raw > 0].mean(
        axis=0
    )
    assert (masked < 5).all() and masked[0] == 0


@pytest.mark.parametrize('degrees', [0, 20, -20])
def test_a_room_whatever_the_tilt(degrees):
    depth, seen, height = room(ROOM, degrees)
    assert set(seen.ravel()) == {0, 1, 2, 3}
    hha = encode(depth, camera=CAMERA).astype(float)
    np.testing.assert_allclose(hha[..., 0], np.minimum(310 / depth, 255), atol=0.5001)
    np.testing.assert_allclose(hha[..., 1], height, atol=1.5)
    for index, angle in enumerate((38, 128, 218, 128)):  # floor, wall, ceiling, wall
        pixels = inner(seen, index)
        assert pixels.any()
        np.testing.assert_allclose(hha[pixels, 2], angle, atol=1)


@pytest.mark.parametrize('degrees', [0, 20, -30, 40])
def test_gravity_of_noisy_normals(degrees):
    rng = np.random.default_rng(0)
    normal = np.repeat([(0, 1, 0), (0, 0, 1), (1, 0, 0), (0, -1, 0)], [900, 700, 300, 100], axis=0)
    normal = normal + rng.normal(0, 0.02, normal.shape)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True) @ tilt(degrees).T
    normal[::7] = 0
    np.testing.assert_allclose(gravity(normal), tilt(degrees) @ (0, 1, 0), atol=0.005)


def test_gravity_stays_where_surfaces_leave_it_open():
    assert gravity(np.zeros((4, 5, 3))).tolist() == [0, 1, 0]
    assert gravity(np.tile((0.0, 0, 1), (50, 1))).tolist() == [0, 1, 0]
    wall = np.array([0.48, 0.36, 0.8])
    nearest = (0, 1, 0) - wall[1] * wall
    np.testing.assert_allclose(
        gravity(np.tile(wall, (50, 1))), nearest / np.linalg.norm(nearest), atol=1e-9
    )
    ridge = [(0, 0.6, 0.8), (0, -0.6, 0.8)] * 50  # most orthogonal to both is x, which is not down
    assert gravity(np.array(ridge)).tolist() == [0, 1, 0]


def test_normals_point_away_even_where_the_fit_lies_behind_the_camera():
    rng = np.random.default_rng(3)
    depth = rng.uniform(0.5, 9, (40, 50))
    normal = normals(depth, rng.random(depth.shape) < 0.2, FINE, CAMERA)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=2)[5:-5, 5:-5], 1)
    assert ((normal * point_cloud(depth, CAMERA)).sum(axis=2) > -1e-9).all()


def test_a_floor_out_of_sight_is_130_cm_below_the_camera():
    hha = encode(np.full((9, 9), 2.0), camera=Camera(100, 100, 5, 5))
    assert hha[4, 4].tolist() == [155, 130, 128]
    assert (hha[:, 4, 1] == [138, 136, 134, 132, 130, 128, 126, 124, 122]).all()


def test_nearer_than_a_metre_is_as_near_as_a_metre():
    assert (encode(np.full((3, 3), 0.5))[..., 0] == 255).all()
    assert encode(np.full((1, 1), 4.0))[0, 0, 0] == 78  # 77.5 rounds as MATLAB rounds it


@pytest.mark.parametrize('hole', [0, np.nan, np.inf, -1.0, 1e300, 1e-300])
def test_holes_are_black_and_do_not_bend_what_is_about_them(hole):
    depth, seen, _ = room([WALL, FLOOR])
    whole = encode(depth, camera=CAMERA)
    top, left = np.argwhere(inner(seen, 0)).min(axis=0)
    spot = np.s_[top : top + 12, left : left + 12]
    depth[spot] = hole
    hha = encode(depth, camera=CAMERA)
    assert (hha[spot] == 0).all()
    outside = np.ones(SIZE, bool)
    outside[spot] = False
    assert np.abs(hha[outside].astype(int) - whole[outside]).max() <= 1


def test_filled_depth_has_disparity_and_height_but_no_say_in_the_angle():
    depth = room(ROOM)[0]
    missing = np.zeros(SIZE, bool)
    missing[40:70, 50:80] = True
    pictures = []
    for filling in (1.0, 2.0):
        depth[missing] = filling
        pictures.append(encode(depth, missing, CAMERA))
        assert (pictures[-1][missing, 0] == round(310 / filling) - 55 * (filling == 1)).all()
    assert (pictures[0][..., 2] == pictures[1][..., 2]).all()
    assert (pictures[0][~missing] == pictures[1][~missing]).all()
    assert (pictures[0][40:42, 50:80, 2] > 0).all()  # two measured rows and more lie in the window
    assert (pictures[0][43:67, 53:77, 2] == 0).all()


def test_pixels_on_one_line_have_no_surface():
    depth = np.zeros((30, 30))
    depth[np.arange(30), np.arange(30)] = np.random.default_rng(2).uniform(1, 5, 30)
    assert not encode(depth)[..., 2].any()
    depth[10, 11] = 2.0
    assert encode(depth)[10, 10, 2] > 0


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (9, 1), (2, 2), (3, 40), (25, 25)])
def test_any_size(size):
    depth = np.random.default_rng(1).uniform(0.5, 5, size)
    hha = encode(depth)
    assert hha.shape == (*size, 3) and hha.dtype == np.uint8
    assert (hha[..., 0] > 0).all() and hha[..., 2].any() == (min(size) > 1)
    assert (encode(depth.copy(), np.zeros(size, bool)) == hha).all()


@pytest.mark.parametrize(
    'depth', [np.zeros((4, 5)), np.zeros((1, 1)), np.full((2, 2), np.nan), np.full((2, 2), 65535)]
)
def test_no_depth_at_all(depth):
    with pytest.raises(DataError, match=r'0\.001–1000 m'):
        encode(depth)


def test_nothing_measured():
    with pytest.raises(DataError, match=r'0\.001–1000 m'):
        encode(np.ones((2, 3)), missing=np.ones((2, 3), bool))


@pytest.mark.parametrize(
    'camera', [(0, 500, 1, 1), (500, -500, 1, 1), (np.nan, 500, 1, 1), (500, 500, np.inf, 1)]
)
def test_no_camera(camera):
    with pytest.raises(DataError, match=r'camera .*FX FY CX CY'):
        encode(np.ones((2, 2)), camera=camera)


def save(folder, **images):
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        Image.fromarray(image).save(folder / f'{name}.png')
    return folder


def test_raw_depth_marks_what_was_filled_in(tmp_path):
    depth = np.full((20, 24), 2500, np.uint16)
    raw = depth.copy()
    raw[5:15, 5:15] = 0
    save(tmp_path, depth=depth, raw=raw, other=raw[1:])
    encode_file(tmp_path / 'depth.png', tmp_path / 'hha.png', tmp_path / 'raw.png')
    assert (read(tmp_path / 'hha.png') == encode(depth / 1000, raw == 0, NYUD_CAMERA)).all()
    with pytest.raises(DataError, match=r'other\.png: .*24×19.*24×20'):
        encode_file(tmp_path / 'depth.png', tmp_path / 'x.png', tmp_path / 'other.png')
    save(tmp_path, raw=np.zeros_like(raw))
    with pytest.raises(DataError, match=r'depth\.png: .*0.001–1000 m'):
        encode_file(tmp_path / 'depth.png', tmp_path / 'x.png', tmp_path / 'raw.png')
    assert not (tmp_path / 'x.png').exists()


def test_what_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    save(tmp_path, depth=np.full((20, 24), 2500, np.uint16))
    monkeypatch.setattr(hha, 'free_memory', lambda: 400 * 20 * 24)
    with pytest.raises(DataError, match=r'depth\.png: .*24×20 needs 0\.0 GB.* 0\.0 GB'):
        encode_file(tmp_path / 'depth.png', tmp_path / 'hha.png')
    assert not (tmp_path / 'hha.png').exists()


def test_command(tmp_path, command):
    depth = room(ROOM, 10)[0]
    tenths = (depth * 1e4).astype(np.uint16)
    source, target = save(tmp_path / 'depth', a=tenths, b=tenths[:, ::-1]), tmp_path / 'hha'
    options = '--unit', 0.0001, '--camera', *CAMERA
    result = command('-m', 'fcn', 'hha', source, target, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f'2 HHA images in {target}\n'
    assert sorted(path.name for path in target.iterdir()) == ['a.png', 'b.png']
    assert (read(target / 'a.png') == encode(tenths * 0.0001, camera=CAMERA)).all()

    save(source, b=tenths.astype(np.uint8))
    result = command('-m', 'fcn', 'hha', source, tmp_path / 'new', *options)
    assert result.returncode == 2 and result.stderr.endswith('\n')
    assert f'{source / "b.png"}: ' in result.stderr.splitlines()[-1]
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.png']


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        ([], 'depth'),
        (['--unit', 'nan'], '--unit nan'),
        (['--camera', 0, 1, 2, 3], 'camera 0 1 2 3: .*FX FY CX CY'),
    ],
)
def test_mistakes_are_told_before_anything_is_written(options, named, tmp_path, monkeypatch):
    depth = save(tmp_path / 'depth', a=np.full((4, 4), 2000, np.uint16))
    before = (depth / 'a.png').read_bytes()
    target = depth / '..' / ('depth' if not options else 'hha')
    monkeypatch.setattr('sys.argv', ['hha', *map(str, [depth, target, *options])])
    with pytest.raises(DataError, match=named):
        main()
    assert (depth / 'a.png').read_bytes() == before and not (tmp_path / 'hha').exists()


def test_the_raw_folder_is_not_overwritten_either(tmp_path, command):
    depth = save(tmp_path / 'depth', a=np.full((4, 4), 2000, np.uint16))
    raw = save(tmp_path / 'raw', a=np.full((4, 4), 2000, np.uint16))
    result = command('-m', 'fcn', 'hha', depth, raw, '--raw', raw)
    assert result.returncode == 2 and f'{raw}: ' in result.stderr
    assert read(raw / 'a.png').dtype == np.uint16
