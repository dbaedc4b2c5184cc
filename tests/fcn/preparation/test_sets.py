"""Every data set, from an archive in its own layout to what its layers read."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace

import archives
import numpy as np
import pytest
from support import ROOT

from fcn.cli import run
from fcn.commands import prepare
from fcn.data_layers import NYUD, SBD, VOC, PASCALContext, SIFTFlow
from fcn.io import lock_folder
from fcn.preparation import ARCHIVES, make

CASES = {  # archives: set, class, the lists and their lengths
    'voc': ('voc', VOC, {'train': 4, 'val': 2, 'trainval': 6}),
    'sbd': ('sbd', SBD, {'train': 4, 'val': 2}),
    'nyud': ('nyud', NYUD, {'train': 3, 'val': 1, 'trainval': 4, 'test': 2}),
    'nyud-splits': ('nyud', NYUD, {'trainval': 4, 'test': 2}),
    'siftflow': ('siftflow', SIFTFlow, {'trainval': 4, 'test': 2}),
    'pascal-context': ('pascal-context', PASCALContext, {'train': 4, 'val': 2, 'trainval': 6}),
}


def arguments(name, data, given):
    return [name, '--data', str(data), *(word for path in given for word in ('--from', str(path)))]


def ends(*words):
    """Return the exit status of the command `prepare.py WORDS`."""
    with pytest.raises(SystemExit) as end:
        run(lambda: prepare.main([str(word) for word in words]))
    return end.value.code


def state(folder):
    return {
        str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.stat().st_ino)
        for file in folder.rglob('*')
    }


@pytest.mark.parametrize('archive', CASES)
def test_every_set_is_prepared_once_and_read_by_its_class(archive, tmp_path, capsys):
    name, dataset, lists = CASES[archive]
    words = arguments(name, tmp_path / 'data', archives.build(archive, tmp_path / 'archives'))
    assert ends(*words) == 0
    printed = capsys.readouterr()
    for split, number in lists.items():
        assert f'{split:10} {number:6} examples' in printed.out
        for top in dataset.paths:
            examples = dataset(tmp_path / 'data' / name, split, [top])
            blobs = [
                examples.example(example, np.random.default_rng(0))[top]
                for example in examples.names
            ]
            assert len(blobs) == number and all(np.isfinite(blob).all() for blob in blobs)
    assert 'the real set' in printed.err
    assert {path.name for path in (tmp_path / 'data').iterdir()} == {name}
    before = state(tmp_path / 'data')
    assert ends(*words) == 0 and state(tmp_path / 'data') == before
    assert (
        f'examples\n{len(list((tmp_path / "data").rglob("*.*")))} files' in capsys.readouterr().out
    )


def test_only_what_is_read_is_unpacked(tmp_path):
    make('voc', tmp_path / 'data', archives.build('voc', tmp_path))
    make('siftflow', tmp_path / 'data', archives.build('siftflow', tmp_path))
    assert {path.name for path in (tmp_path / 'data/voc').iterdir()} == {
        'ImageSets',
        'JPEGImages',
        'SegmentationClass',
    }
    assert not (tmp_path / 'data/siftflow/TestSet1.txt').exists()
    assert 'highway_bost181' not in (tmp_path / 'data/siftflow/trainval.txt').read_text()


def test_labels_are_those_of_the_archive(tmp_path):
    """A label goes through unpacking, MATLAB's nesting and renumbering unchanged."""
    rng = np.random.default_rng(0)
    _, label = archives.example(rng, np.arange(1, 41), void=0)
    make('nyud', tmp_path / 'data', archives.build('nyud', tmp_path))
    read = NYUD(tmp_path / 'data/nyud', 'train').label('5001')
    assert (read == np.where(label == 0, 255, label - 1)).all() and len(np.unique(read)) > 2


def test_an_archive_of_test_images_is_merged(tmp_path, capsys):
    given = archives.build('voc', tmp_path) + archives.build('voc-test', tmp_path, count=5)
    assert ends(*arguments('voc', tmp_path / 'data', given)) == 0
    assert 'test            5 examples' in capsys.readouterr().out
    test = VOC(tmp_path / 'data/voc', 'test')
    assert all(test.image(name).ndim == 3 for name in test.names)


def test_archives_of_two_editions_are_refused(tmp_path, capsys):
    one = archives.build('voc', tmp_path / 'one')
    other = archives.build('voc', tmp_path / 'other', seed=1)
    assert ends(*arguments('voc', tmp_path / 'data', one + other)) == 2
    error = capsys.readouterr().err
    assert f'{other[0]}: ' in error and 'JPEGImages/2007_00000' in error
    assert not list((tmp_path / 'data').iterdir())


@pytest.mark.parametrize('order', [('voc', 'sbd'), ('sbd', 'voc')])
def test_voc_and_sbd_give_seg11valid(order, tmp_path, capsys):
    for name in order:
        make(name, tmp_path / 'data', archives.build(name, tmp_path, count=9))
    listed = (tmp_path / 'data/voc/ImageSets/Segmentation/seg11valid.txt').read_text().split()
    trained = SBD(tmp_path / 'data/sbd', 'train').names
    assert listed == ['2007_000007', '2007_000008'] and trained[0] == '2007_000006'
    error = capsys.readouterr().err
    assert f'{tmp_path}/data/voc/ImageSets/Segmentation/seg11valid.txt: 2 ' in error
    assert '736' in error


def without(monkeypatch, archive, *endings):
    """Let the archives be built without the files whose path ends so."""

    def write(path, files):
        return real(
            path, {name: content for name, content in files.items() if not name.endswith(endings)}
        )

    real = getattr(archives, archive)
    monkeypatch.setattr(archives, archive, write)


@pytest.mark.parametrize(
    ('name', 'writer', 'ending', 'named'),
    [
        ('voc', 'write_tar', 'Class/2007_000001.png', 'SegmentationClass/2007_000001.png'),
        ('sbd', 'write_tar', 'cls/2008_000002.mat', 'cls/2008_000002.mat'),
        ('nyud', 'write_tar', 'depth/img_5003.png', 'data/depth/img_5003.png'),
        ('siftflow', 'write_zip', 'coast_natu0.mat', '2 are missing: SemanticLabels'),
        ('pascal-context', 'write_tar', '2007_000000.mat', 'trainval/2007_000000.mat'),
    ],
)
def test_a_missing_label_is_named_and_nothing_is_left(
    name, writer, ending, named, monkeypatch, tmp_path, capsys
):
    without(monkeypatch, writer, ending)
    assert ends(*arguments(name, tmp_path / 'data', archives.build(name, tmp_path))) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert named in error and 'missing' in error and not list((tmp_path / 'data').iterdir())


def test_an_archive_that_ends_between_two_files_is_refused(tmp_path, capsys):
    """A plain tar that is cut there looks whole to tar."""
    (voc,) = archives.build('voc', tmp_path)
    with tarfile.open(voc) as archive:
        last = next(
            member
            for member in archive
            if member.name.endswith('SegmentationClass/2007_000005.png')
        )
    voc.write_bytes(voc.read_bytes()[: last.offset])
    assert ends(*arguments('voc', tmp_path / 'data', [voc])) == 2
    assert 'train.txt: ' in capsys.readouterr().err and not list((tmp_path / 'data').iterdir())


def test_a_set_that_lost_a_file_is_named_and_left_alone(tmp_path, capsys):
    given = archives.build('voc', tmp_path)
    make('voc', tmp_path / 'data', given)
    (tmp_path / 'data/voc/JPEGImages/2007_000003.jpg').unlink()
    before = state(tmp_path / 'data')
    assert ends(*arguments('voc', tmp_path / 'data', given)) == 2
    error = capsys.readouterr().err
    assert (
        'JPEGImages/2007_000003.jpg' in error
        and 'move' in error
        and state(tmp_path / 'data') == before
    )


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        (['voc', '--from', 'nowhere.tar'], '/nowhere.tar: '),
        (['voc', '--from', '.'], 'not a folder'),
        (['voc', '--data', 'file'], '/file: '),
        (['voc', '--data', 'file/data'], '/file/data: '),
        (['ilsvrc', '--weights', 'file'], '/file: '),
        (['voc', 'sbd'], "'sbd'"),
        (['ilsvrc', 'voc-fcn8s'], "'voc-fcn8s'"),
        (['fcn-weights', '--from', 'x.caffemodel'], 'x.caffemodel: '),
    ],
)
def test_bad_arguments_end_with_2_and_one_line(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    assert ends(*words) == 2
    error = capsys.readouterr().err
    assert named in error and error.count('\n') == 1


def test_the_wrong_archive_is_named(tmp_path, capsys):
    given = archives.build('voc', tmp_path)
    assert ends(*arguments('siftflow', tmp_path / 'data', given)) == 2
    assert f'{given[0]}: holds no file of this set' in capsys.readouterr().err


def test_a_bad_splits_mat_is_named(tmp_path, capsys):
    given = archives.build('nyud-splits', tmp_path)
    given[1].write_bytes(archives.mat_bytes(trainNdxs=np.ones((2, 1))))
    assert ends(*arguments('nyud', tmp_path / 'data', given)) == 2
    error = capsys.readouterr().err
    assert 'splits.mat: ' in error and 'testNdxs' in error


@pytest.fixture
def closed(monkeypatch):
    """Let every source lie on a port that nobody listens on."""
    for name, row in ARCHIVES.items():
        moved = tuple(
            replace(source, url=f'https://127.0.0.1:1/{source.name}') for source in row.downloads
        )
        monkeypatch.setitem(ARCHIVES, name, replace(row, downloads=moved))


@pytest.mark.parametrize('name', ARCHIVES)
def test_without_a_network_the_files_to_fetch_by_hand_are_named(
    name, closed, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, 'argv', ['prepare.py', name, '--data', str(tmp_path)])
    assert ends(name, '--data', tmp_path) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and f'python prepare.py {name} --data {tmp_path} --from' in error
    for source in ARCHIVES[name].downloads:
        assert source.url in error and f'--from {source.name}' in error
    assert {path.name for path in tmp_path.iterdir()} == {'downloads'}


def test_what_is_at_hand_is_not_asked_for(closed, tmp_path, capsys):
    given = archives.build('pascal-context', tmp_path)
    assert ends(*arguments('pascal-context', tmp_path / 'data', given[:2])) == 2
    error = capsys.readouterr().err
    assert '127.0.0.1:1/labels.txt' in error and 'VOCtrainval_03-May-2010.tar on' not in error


def test_after_a_kill_the_same_command_succeeds(tmp_path):
    """SIGKILL in the middle of unpacking leaves a folder that the next run clears away."""
    (voc,) = archives.build('voc', tmp_path)
    many = {f'VOC2011/JPEGImages/{index}.jpg': b'x' for index in range(20_000)}
    given = [archives.write_tar(tmp_path / 'many.tar', many), voc]
    words = [sys.executable, ROOT / 'prepare.py', *arguments('voc', tmp_path / 'data', given)]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / 'data/.voc.partial'
    deadline = time.monotonic() + 20
    while not (partial / 'JPEGImages/9.jpg').exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert partial.is_dir() and not (tmp_path / 'data/voc').exists()
    assert ends(*arguments('voc', tmp_path / 'data', [voc])) == 0
    assert {path.name for path in (tmp_path / 'data').iterdir()} == {'voc'}
    assert len(list((tmp_path / 'data/voc/JPEGImages').iterdir())) == 7


def test_two_at_once_do_not_meet(tmp_path, capsys):
    given = archives.build('voc', tmp_path)
    with lock_folder(tmp_path / 'data'):
        assert ends(*arguments('voc', tmp_path / 'data', given)) == 2
    assert f'{tmp_path}/data: another process' in capsys.readouterr().err
    assert ends(*arguments('voc', tmp_path / 'data', given)) == 0
