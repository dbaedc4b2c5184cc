"""What a net is said to need, against what Caffe gives it."""

import sys
import types

import caffe
import pytest
from PIL import Image

from fcn import memory
from fcn.data_layers import DATASETS
from fcn.engine import STOCK, net_of
from fcn.errors import DataError, FCNError
from fcn.memory_estimate import WORKSPACE, MemoryEstimate, check_memory
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
    held = estimate.bytes(500, 500) - (0 if STOCK else WORKSPACE)
    if STOCK:
        assert max(estimate.elements(500, 500).values()) == pytest.approx(576 * 698**2, rel=0.01)
    else:
        assert held == pytest.approx(4 * (2 * 64 * 698**2 + 3 * 500**2), rel=0.02)
    assert estimate.fits(500, 500, free=16e9) and not estimate.fits(500, 500, free=0.5e9)
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
    with pytest.raises(FCNError, match=r'needs \d\.\d GB for the smallest tiles'):
        estimate.tile(tiling, free=0.5e9)


def test_what_training_holds_is_what_was_measured():
    """results/bench-cpu.md has 3.0 GB at the peak of a whole process, with Python and libraries."""
    if STOCK:
        pytest.skip('measured on the layers over oneDNN')
    estimate = MemoryEstimate(net_of(deploy_net(find('voc-fcn8s'))))
    assert 2.5e9 < estimate.training_bytes(500, 500) < 3.0e9
    assert estimate.training_bytes(500, 500, batch=2) > estimate.training_bytes(500, 500) + 0.5e9


def test_an_image_too_large_for_memory_is_named_before_training(voc, tmp_path):
    name, config = 'voc-fcn32s', find('voc-fcn32s')
    source = DATASETS[config.data].val._replace(dataset='VOC', root=str(voc), split='train')
    training, scoring = (
        check_memory(name, config, source, training=learns, free=8e9) for learns in (True, False)
    )
    both = 1.01 * (training + scoring) / memory.SHARE
    check_memory(name, config, source, reserved=training, free=both)
    with pytest.raises(DataError, match=r'scoring voc-fcn32s.*\d\.\d GB for training'):
        check_memory(name, config, source, reserved=training, free=0.95 * both)
    large = voc / 'JPEGImages' / '2007_000003.jpg'
    Image.new('RGB', (900, 600)).save(large)
    with pytest.raises(
        DataError,
        match=r'2007_000003\.jpg: training voc-fcn32s on 900×600 .*\d\.\d GB.*2\.0 GB.*smaller$',
    ):
        check_memory(name, config, source, training=True, free=2e9)
    with pytest.raises(DataError, match=r'scoring voc-fcn32s.*--tile'):
        check_memory(name, config, source, free=5e8)
    onto_gpu = check_memory(name, config, source, training=True, device='gpu 0', free=1e11)
    assert onto_gpu > training
    with pytest.raises(DataError, match='training voc-fcn32s on 900×600'):
        check_memory(name, config, source, training=True, device='gpu 0', free=onto_gpu)
    Image.new('RGB', (9000, 6000)).save(large)
    with pytest.raises(DataError, match=r'9000×6000.*2³¹'):
        check_memory(name, config, source, free=1e15)
    large.unlink()
    with pytest.raises(DataError, match=r'2007_000003\.jpg: no such file'):
        check_memory(name, config, source)


def test_on_a_gpu_all_blobs_are_held_at_once():
    net = net_of(deploy_net(find('mini-fcn8s')))
    estimate = MemoryEstimate(net, 'gpu 0')
    assert estimate.bytes(300, 400) == WORKSPACE + 4 * sum(estimate.elements(300, 400).values())
    assert estimate.bytes(300, 400) >= MemoryEstimate(net).bytes(300, 400)


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
