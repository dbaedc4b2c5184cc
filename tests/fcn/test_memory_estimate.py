"""What a net is said to need, against what Caffe gives it."""

import shutil
import sys
import types

import caffe
import pytest
from PIL import Image

from benchmarks import memory as memory_benchmark
from fcn import memory
from fcn.data_layers import DATASETS
from fcn.engine import STOCK, net_of
from fcn.errors import DataError, FCNError
from fcn.memory_estimate import LIBRARIES, MemoryEstimate, Use, check_memory, workspace
from fcn.nets import deploy_net, find
from fcn.tiling import Tiling


@pytest.mark.parametrize('name', ['mini-fcn8s', 'voc-fcn-googlenet', 'voc-fcn-alexnet'])
def test_blobs_have_the_sizes_predicted(name):
    net = net_of(deploy_net(find(name)))
    estimate = MemoryEstimate(net)
    height, width = 333, 500
    net.blobs['data'].reshape(1, 3, height, width)
    net.reshape()
    predicted = estimate.elements(height, width)
    for blob in net.blobs:
        assert predicted[blob] == pytest.approx(net.blobs[blob].count, rel=0.1), blob


def test_what_is_held_at_once():
    """FCN-32s' widest layer is conv1_2: 64 channels of the padded image, read and written."""
    net = net_of(deploy_net(find('voc-fcn32s')))
    estimate = MemoryEstimate(net)
    if STOCK:
        assert max(estimate.elements(500, 500).values()) == pytest.approx(576 * 698**2, rel=0.01)
    else:
        # The padded images, what is shared, the image and its scores.
        widest = 4 * 2 * 64 * 698**2
        others = LIBRARIES + workspace(4096, 512) + 4 * (3 + 21) * 500**2
        assert 0 <= estimate.testing(500, 500).bytes - widest <= 1.02 * others
    assert estimate.fits(500, 500, free=16e9) and not estimate.fits(500, 500, free=0.3e9)
    assert not estimate.fits(
        9000, 9000, free=1e15
    )  # 2³¹ elements are Caffe's limit whatever the memory
    tiling = Tiling.of(find('voc-fcn32s'))
    free = 16e9 if STOCK else 2e9
    side = estimate.tile(tiling, free)
    assert (
        side % 32 == 0
        and estimate.fits(side, side, free)
        and not estimate.fits(side + 32, side + 32, free)
    )
    assert estimate.tile(tiling, free, Use(free / 4)) < side
    with pytest.raises(FCNError, match=r'needs \d\.\d GB for the smallest tiles'):
        estimate.tile(tiling, free=0.3e9)


@pytest.mark.parametrize('task', ['infer', 'score', 'train'])
def test_what_is_reckoned_is_what_is_taken(task, drawn_weights):
    """A command in a process of its own; results/memory.md has more nets and sizes."""
    if STOCK:
        pytest.skip('the estimate is of the layers over oneDNN')
    size = (1200, 800) if task == 'train' else (1500, 1000)
    case = memory_benchmark.measure(task, 'mini-fcn8s', drawn_weights('mini-fcn8s'), *size)
    assert abs(case.difference) < 0.25, case


def test_a_large_image_is_scored_by_tiles_or_refused_before_anything_is_allocated(voc):
    name, config = 'voc-fcn32s', find('voc-fcn32s')
    source = DATASETS[config.data].val._replace(dataset='VOC', root=str(voc), split='train')
    assert check_memory(name, config, source, free=8e9) is None
    large = voc / 'JPEGImages' / '2007_000003.jpg'
    Image.new('RGB', (2000, 1500)).save(large)
    free = 16e9 if STOCK else 3e9
    tiles = check_memory(name, config, source, free=free)
    assert tiles and tiles.side % 32 == 0 and tiles.side >= Tiling.of(config).smallest()
    assert '2007_000003.jpg' in tiles.why and '2000×1500' in tiles.why
    smaller = check_memory(name, config, source, free=0.7 * free)
    assert smaller and smaller.side < tiles.side
    with pytest.raises(DataError, match=r'2007_000003\.jpg: scoring voc-fcn32s .*smallest tiles'):
        check_memory(name, config, source, free=8e8)
    Image.new('RGB', (9000, 6000)).save(large)
    assert check_memory(name, config, source, free=1e15)  # Caffe has no blob of 2³¹ elements.
    large.unlink()
    with pytest.raises(DataError, match=r'2007_000003\.jpg: no such file'):
        check_memory(name, config, source)


def test_training_that_does_not_fit_is_refused_and_leaves_less_to_validate(voc):
    name, config = 'voc-fcn32s', find('voc-fcn32s')
    val = DATASETS[config.data].val._replace(dataset='VOC', root=str(voc))
    train = val._replace(split='train')
    free = 16e9 if STOCK else 5e9
    assert check_memory(name, config, val, train, free=free) is None
    Image.new('RGB', (2000, 1500)).save(voc / 'JPEGImages' / '2008_000001.jpg')  # to validate on
    tiles = check_memory(name, config, val, train, free=free)
    assert tiles and 'for training' in tiles.why
    alone = check_memory(name, config, val, free=free)
    assert alone is None or alone.side > tiles.side
    Image.new('RGB', (900, 600)).save(voc / 'JPEGImages' / '2007_000003.jpg')
    with pytest.raises(
        DataError,
        match=r'2007_000003\.jpg: training voc-fcn32s on 900×600 .*\d\.\d GB.*2\.0 GB.*smaller',
    ):
        check_memory(name, config, val, train, free=2e9)


def test_crops_take_the_memory_of_their_size_and_number(mini, tmp_path):
    name, config = 'mini-fcn32s', find('mini-fcn32s')
    val = DATASETS[config.data].val._replace(root=str(mini))
    shutil.copytree(mini, tmp_path / 'mini')
    source = val._replace(root=str(tmp_path / 'mini'), split='train')
    file = source.open().path('data', source.names()[0])
    with Image.open(file) as image:
        image.resize((3000, 2000)).save(file)
    free = 12e9 if STOCK else 3e9
    with pytest.raises(DataError, match=r'training mini-fcn32s on 3000×2000.*--crop'):
        check_memory(name, config, val, source, free=free)
    crops = source._replace(options=(('crop', 100),))
    assert check_memory(name, config, val, crops, free=free) is None
    many = source._replace(options=(('crop', 100), ('batch', 4000)))
    with pytest.raises(DataError, match=r'4000 crops of 100×100.*smaller crops'):
        check_memory(name, config, val, many, free=free)


def test_on_a_gpu_all_blobs_are_held_at_once():
    net = net_of(deploy_net(find('mini-fcn8s')))
    estimate = MemoryEstimate(net, 'gpu 0')
    assert estimate.testing(300, 400).own == 4 * sum(estimate.elements(300, 400).values())
    assert estimate.testing(300, 400).bytes >= MemoryEstimate(net).testing(300, 400).bytes
    batches = [estimate.training(300, 400, batch).bytes for batch in (1, 2)]
    assert batches[1] > 1.5 * batches[0] > 1.5 * estimate.testing(300, 400).bytes


def test_the_memory_of_a_gpu_is_asked_of_it(monkeypatch):
    monkeypatch.setitem(
        sys.modules, 'caffe._cuda', types.SimpleNamespace(memory=lambda: (3e9, 8e9))
    )
    monkeypatch.setattr(caffe, '_cuda', sys.modules['caffe._cuda'], raising=False)
    assert memory.free_memory('gpu 0') == 5e9


def test_control_groups_bound_what_is_free(tmp_path, monkeypatch):
    (tmp_path / 'memory.max').write_text('1000\n')
    (tmp_path / 'memory.current').write_text('900\n')
    (tmp_path / 'memory.stat').write_text('anon 500\ninactive_file 300\nactive_file 100\n')
    assert memory._left(tmp_path) == 500
    monkeypatch.setattr(memory, '_own_cgroups', lambda: [tmp_path])
    assert memory.free_memory() == 500
    (tmp_path / 'memory.max').write_text('max\n')
    assert memory._left(tmp_path) is None and memory.free_memory() > 500
