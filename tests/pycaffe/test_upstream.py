"""Upstream's C++ tests pass on the engine, and upstream's Python scripts run on it.

They are not part of the source that the engine is built of: they are fetched from the same places,
and checked by a digest of their own.
"""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import _build
from PIL import Image
from support import ROOT

import source
import toolchain

FILES = re.compile(r'src/caffe/test/.+\.\w+|python/\w+\.py')
DIGEST = 'f7651831fbc92fd1fe5c89daa0a022320919022b19e96ee3590c55d25e9e28d8'
TESTS = 551  # for float on the CPU, without OpenCV, LMDB and LevelDB
OURS = Path(__file__).parent / 'upstream'
# Their EXPECT_EQ of floats is meant for one algorithm.
CLOSE = ('test_convolution_layer', 'test_deconvolution_layer')
FLAGS = [
    *('-std=c++17', '-O0', '-w', '-DCPU_ONLY', '-DUSE_HDF5', '-DWITH_PYTHON_LAYER'),
    '-DBOOST_BIND_GLOBAL_PLACEHOLDERS',
]
RULES = """
rule protoc
  command = protoc -I$source/src/caffe/proto --cpp_out=caffe/proto $in
rule compile
  command = $compiler $flags $included -c $in -o $out
rule precompile
  command = $compiler $flags -x c++-header $in -o $out
rule link
  command = $compiler $in $libraries -o $out
"""
LIBRARIES = 'gtest', 'boost_thread', 'boost_filesystem', 'protobuf', 'glog', 'gflags', 'openblas'

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def upstream():
    """The folder of upstream's tests and scripts, as they are in the tree of Caffe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, 'USED', FILES)
        patch.setattr(source, 'DIGEST', DIGEST)
        try:
            return source.find()
        except source.SourceError as error:
            pytest.skip(f"upstream's tests cannot be had: {error}")


@pytest.fixture(scope='module')
def program(upstream, tmp_path_factory):
    """Upstream's tests as a program, linked with the installed engine."""
    if _build.CUDA:
        pytest.skip('needs an engine for the CPU alone: the tests are compiled for that')
    for header in ('gtest/gtest.h', 'hdf5.h'):
        if not any(Path('/usr/include', sub, header).exists() for sub in toolchain.SUBFOLDERS):
            pytest.skip(f'needs {header} (apt-get install libgtest-dev)')
    if not shutil.which('ninja'):
        pytest.skip('needs ninja (apt-get install ninja-build)')
    folder = tmp_path_factory.mktemp('upstream')
    (folder / 'caffe/proto').mkdir(parents=True)
    (folder / 'build.ninja').write_text(ninja(upstream))
    result = subprocess.run(['ninja', '-j2'], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
    return folder / 'tests'


def ninja(upstream):
    """Return what Ninja needs to know to build upstream's tests."""
    engine = Path(caffe._caffe.__file__)
    caffe_source = source.find()
    folders = ['.', OURS, caffe_source / 'include', ROOT / 'pycaffe', np.get_include()]
    folders += [sysconfig.get_path('include')]
    folders += [Path('/usr/include') / name for name in toolchain.SUBFOLDERS if name]
    flags = [*FLAGS, '-include', ROOT / 'pycaffe/compat.h', *(f'-I{folder}' for folder in folders)]
    python = f'python{sysconfig.get_config_var("LDVERSION")}'
    # The engine is named by its path, and calls Python's functions.
    libraries = [engine, f'-Wl,-rpath,{engine.parent}', f'-L{sysconfig.get_config_var("LIBDIR")}']
    libraries += [f'-L{folder}' for folder in toolchain.library_folders() if folder.is_dir()]
    libraries += [f'-l{name}' for name in (*LIBRARIES, 'boost_system', python, 'hdf5_hl', 'hdf5')]
    lines = [
        f'source = {caffe_source}',
        f'compiler = {" ".join(toolchain.compiler())}',
        f'flags = {" ".join(map(str, flags))}',
        f'libraries = {" ".join(map(str, libraries))}',
        RULES,
        'build caffe/proto/caffe.pb.h: protoc $source/src/caffe/proto/caffe.proto',
        f'build registry_layers.hpp.gch: precompile {OURS}/registry_layers.hpp'
        ' | caffe/proto/caffe.pb.h',
    ]
    objects = ['main.o']
    lines += [f'build main.o: compile {OURS}/main.cpp | caffe/proto/caffe.pb.h']
    for path in sorted((upstream / 'src/caffe/test').glob('test_*.cpp')):
        if path.stem == 'test_caffe_main':
            continue
        close = ' -include close.hpp' if path.stem in CLOSE else ''
        objects.append(f'{path.stem}.o')
        lines += [
            f'build {path.stem}.o: compile {path} | registry_layers.hpp.gch',
            f'  included = -include registry_layers.hpp{close}',
        ]
    return '\n'.join([*lines, f'build tests: link {" ".join(objects)}', ''])


def test_upstreams_cpp_tests(upstream, program, tmp_path, record_property):
    """Those for float on the CPU, in upstream's folder, where their data lie."""
    report = tmp_path / 'report.json'
    result = subprocess.run(
        [program, '--gtest_filter=-*GPU*', f'--gtest_output=json:{report}'],
        cwd=upstream,
        env={**os.environ, 'FCN_VERBOSE': '1'},
        capture_output=True,
        text=True,
    )
    assert report.is_file(), result.stdout[-2000:] + result.stderr[-2000:]
    counts = json.loads(report.read_text())
    failed = re.findall(r'^\[  FAILED  \] .+', result.stdout, re.MULTILINE)
    assert result.returncode == 0 and counts['failures'] == 0, '\n'.join(failed)
    assert counts['tests'] == TESTS
    record_property("upstream's C++ tests that passed", counts['tests'])
    # Layers without a name are those that the tests made directly.
    ours = re.findall(r'^fcn:  (\w+) forward (?!caffe)', result.stderr, re.MULTILINE)
    assert {*ours} == {'Convolution', 'Deconvolution', 'LRN', 'Pooling', 'ReLU'}


@pytest.fixture
def script(upstream, command):
    """A function that runs one of upstream's scripts.

    -P: not with the unbuilt package next to it.
    """

    def run(name, *arguments):
        result = command('-P', upstream / 'python' / name, *arguments)
        assert result.returncode == 0, result.stderr

    return run


@pytest.fixture
def net(tmp_path):
    """A net whose scores are its input, its empty weights, and a photograph; as strings."""
    (tmp_path / 'net.prototxt').write_text(
        'input: "data" input_shape { dim: 10 dim: 3 dim: 12 dim: 12 } '
        'layer { name: "out" type: "Flatten" bottom: "data" top: "out" }'
    )
    (tmp_path / 'none.caffemodel').write_bytes(b'')
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / 'photo.png')
    return [str(tmp_path / name) for name in ('net.prototxt', 'none.caffemodel', 'photo.png')]


def test_classify_py(script, net, tmp_path):
    prototxt, weights, photo = net
    mean = Path(caffe.__file__).parent / 'imagenet/ilsvrc_2012_mean.npy'
    model = ['--model_def', prototxt, '--pretrained_model', weights, '--mean_file', mean]
    script('classify.py', photo, tmp_path / 'out.npy', *model)
    classifier = caffe.Classifier(
        prototxt,
        weights,
        image_dims=(256, 256),
        mean=np.load(mean),
        raw_scale=255,
        channel_swap=[2, 1, 0],
    )
    expected = classifier.predict([caffe.io.load_image(photo)])
    np.testing.assert_array_equal(np.load(tmp_path / 'out.npy'), expected)


def test_detect_py(script, net, tmp_path):
    pandas = pytest.importorskip('pandas', reason="needs pip install './pycaffe[scripts]'")
    pytest.importorskip('tables', reason="needs pip install './pycaffe[scripts]'")
    prototxt, weights, photo = net
    (tmp_path / 'windows.csv').write_text(
        f'filename,xmin,ymin,xmax,ymax\n{photo},9,7,16,14\n{photo},2,0,13,11\n'
    )
    model = ['--model_def', prototxt, '--pretrained_model', weights, '--mean_file', '']
    options = ['--crop_mode', 'list', '--context_pad', 2]
    script('detect.py', tmp_path / 'windows.csv', tmp_path / 'out.h5', *model, *options)
    table = pandas.read_hdf(tmp_path / 'out.h5')
    assert table[['ymin', 'xmin', 'ymax', 'xmax']].values.tolist() == [
        [7, 9, 14, 16],
        [0, 2, 11, 13],
    ]
    # A window of 8 pixels and 2 on each side are the net's 12, in BGR.
    with Image.open(photo) as image:
        expected = np.asarray(image)[5:17, 7:19, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(table.prediction.iloc[0], expected.ravel(), atol=1e-3)


def test_draw_net_py(script, tmp_path):
    prototxt = ROOT / 'nets/voc-fcn8s/val.prototxt'
    script('draw_net.py', prototxt, tmp_path / 'net.svg', '--phase', 'TEST', '--display_lrm')
    drawn = (tmp_path / 'net.svg').read_text()
    for name in ('conv1_1', 'fuse_pool4', 'upscore8', 'loss'):
        assert name in drawn
