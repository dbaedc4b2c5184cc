"""The installed engine is the one that pycaffe/ builds, and upstream's own tests pass on it."""

import ast
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import caffe
from caffe import _build

import source

ROOT = Path(__file__).resolve().parents[2]
# The source is pinned by its digest, so the number of its tests is too.
UPSTREAM_TESTS = 52
# All kinds of layers. Drawing all nets takes half a minute.
DRAWN = 'voc-fcn8s-atonce', 'voc-fcn-googlenet-cvpr', 'voc-fcn-alexnet'


def run_python(*arguments, cwd):
    """Run a fresh interpreter that is told nothing of where Caffe or its libraries lie."""
    told = ('LD_LIBRARY_PATH', 'PYTHONPATH', 'PYTEST_ADDOPTS', 'PYTHONWARNINGS')
    environment = {name: value for name, value in os.environ.items() if name not in told}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_imports_anywhere(tmp_path):
    script = (
        'import caffe, os, sys\n'
        "slow = [name for name in ('scipy.ndimage', 'skimage.io') if name in sys.modules]\n"
        'print([os.path.abspath(caffe.__file__), caffe.__version__, slow])'
    )
    result = run_python('-W', 'error', '-c', script, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    path, version, slow = ast.literal_eval(result.stdout)
    assert version == '1.0.0' and not slow
    assert not Path(path).is_relative_to(ROOT / 'pycaffe')


def test_says_what_it_is():
    assert source.COMMIT == _build.COMMIT
    assert source.DIGEST == _build.SOURCE_DIGEST
    assert _build.CUDA in (True, False)
    assert _build.COMPILER.split()[0] in ('GNU', 'Clang')


def test_has_every_layer_of_the_paper():
    trunks = {'Convolution', 'ReLU', 'Pooling', 'LRN', 'Dropout', 'Concat', 'InnerProduct'}
    heads = {'Deconvolution', 'Crop', 'Eltwise', 'Scale', 'SoftmaxWithLoss'}
    assert trunks | heads | {'Python', 'Input'} <= set(caffe.layer_type_list())


def test_upstreams_tests(tmp_path):
    """Laid out as in upstream's tree: one test draws each net of ../../../models and examples."""
    tests = shutil.copytree(Path(caffe.__file__).parent / 'test', tmp_path / 'python/caffe/test')
    for folder, names in (('models', ['deploy']), ('examples', ['train', 'val'])):
        (tmp_path / folder).mkdir()
        for name in names:
            for net in DRAWN:
                prototxt = ROOT / 'nets' / net / f'{name}.prototxt'
                shutil.copy(prototxt, tmp_path / folder / f'{prototxt.parent.name}-{name}.prototxt')
    # Python 3.12 dropped two old names of unittest's methods that these tests use.
    (tests / 'conftest.py').write_text(
        'from unittest import TestCase\n'
        'names = dict(assertEquals="assertEqual", assertRaisesRegexp="assertRaisesRegex")\n'
        'for old, new in names.items():\n'
        '    if not hasattr(TestCase, old):\n'
        '        setattr(TestCase, old, getattr(TestCase, new))\n'
    )
    report = tmp_path / 'report.xml'
    command = ['-m', 'pytest', '-c', os.devnull, '--rootdir', tmp_path, '-p', 'no:cacheprovider']
    result = run_python(*command, f'--junit-xml={report}', tests, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    counts = ElementTree.parse(report).find('testsuite').attrib
    assert {name: int(counts[name]) for name in ('tests', 'failures', 'errors', 'skipped')} == {
        'tests': UPSTREAM_TESTS,
        'failures': 0,
        'errors': 0,
        'skipped': 0,
    }
