"""Caffe's source is taken from any of its places, and only if it is untouched."""

import io
import tarfile

import pytest

import distribution
import source

TREE = {
    'LICENSE': b'all contributions',
    'include/caffe/blob.hpp': b'class Blob;',
    'include/caffe/util/gpu_util.cuh': b'// atomics',
    'src/caffe/layers/relu_layer.cpp': b'int relu;',
    'src/caffe/layers/relu_layer.cu': b'int relu_gpu;',
    'src/caffe/proto/caffe.proto': b'message BlobProto {}',
    'python/caffe/_caffe.cpp': b'int module;',
    'python/caffe/test/test_io.py': b'import caffe',
}
# What else a checkout holds, and what a build in it leaves there.
BESIDES = {
    'README.md': b'Caffe',
    'src/caffe/test/test_relu.cpp': b'int test;',
    'include/caffe/proto/caffe.pb.h': b'// generated',
    'src/caffe/proto/caffe.pb.cc': b'// generated',
    'python/caffe/proto/caffe_pb2.py': b'# generated',
    'python/caffe/_caffe.so': b'ELF',
    'python/caffe/__pycache__/io.cpython-311.pyc': b'bytecode',
}


@pytest.fixture(autouse=True)
def small_caffe(monkeypatch, tmp_path):
    """Let the digest be TREE's, the cache an empty folder, and no place have a source."""
    monkeypatch.setattr(source, 'DIGEST', source.digest(TREE))
    monkeypatch.setattr(source, 'PLACES', {})
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delenv('CAFFE_SOURCE', raising=False)


def write_tree(folder, files):
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder


def write_tarball(path, files, *extra):
    with tarfile.open(path, 'w:gz') as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
        for member in extra:
            archive.addfile(member)
    return path


def find_refused(monkeypatch, place):
    """Return the message, of one line, with which `find` refuses CAFFE_SOURCE=place."""
    monkeypatch.setenv('CAFFE_SOURCE', str(place))
    with pytest.raises(source.SourceError) as error:
        source.find()
    message = str(error.value)
    assert '\n' not in message
    assert 'Set CAFFE_SOURCE' in message and source.COMMIT[:7] in message
    return message


def test_folder_and_tarballs_are_one_source(monkeypatch, tmp_path):
    everything = {**TREE, **BESIDES}
    places = [
        write_tree(tmp_path / 'checkout', everything),
        *(
            write_tarball(
                tmp_path / f'{n}.tar.gz', {top + name: everything[name] for name in everything}
            )
            for n, top in enumerate(['', './', 'caffe-99bd997/'])
        ),
    ]
    for place in places:
        monkeypatch.setenv('CAFFE_SOURCE', str(place))
        found = source.find()
        files = [path for path in found.rglob('*') if path.is_file()]
        assert {path.relative_to(found).as_posix(): path.read_bytes() for path in files} == TREE
        assert found.is_relative_to(tmp_path / 'cache')


@pytest.mark.parametrize(
    'change',
    [
        {'src/caffe/layers/relu_layer.cpp': b'int relu; // faster'},
        {'src/caffe/layers/backdoor.cpp': b'int more;'},
        {'include/caffe/blob.hpp': b'class Blob', 'LICENSE': b';all contributions'},
    ],
)
def test_edited_source_is_refused(monkeypatch, tmp_path, change):
    message = find_refused(monkeypatch, write_tree(tmp_path / 'edited', {**TREE, **change}))
    assert 'untouched' in message and str(tmp_path / 'edited') in message
    assert list((tmp_path / 'cache').rglob('*.cpp')) == []


def test_relative_path_is_refused(monkeypatch, tmp_path):
    """Even one that leads to the source: pip builds in another folder than the user's."""
    write_tree(tmp_path / 'caffe', TREE)
    monkeypatch.chdir(tmp_path)
    assert 'CAFFE_SOURCE=caffe is not an absolute' in find_refused(monkeypatch, 'caffe')


def test_missing_path_is_named(monkeypatch, tmp_path):
    assert f'{tmp_path}/nowhere' in find_refused(monkeypatch, tmp_path / 'nowhere')


@pytest.mark.parametrize(
    'name', ['../out.cpp', 'caffe/../../out.cpp', '/tmp/out.cpp', 'include/../../x.hpp']
)
def test_tarball_that_leaves_its_tree_is_refused(monkeypatch, tmp_path, name):
    tarball = write_tarball(tmp_path / 'hostile.tar.gz', {**TREE, name: b'escaped'})
    assert name in find_refused(monkeypatch, tarball)
    assert {path.name for path in tmp_path.iterdir()} <= {'hostile.tar.gz', 'cache'}


@pytest.mark.parametrize(
    'kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_link_or_device_in_place_of_a_source_is_refused(monkeypatch, tmp_path, kind):
    member = tarfile.TarInfo('include/caffe/net.hpp')
    member.type, member.linkname = kind, '/etc/passwd'
    tarball = write_tarball(tmp_path / 'hostile.tar.gz', TREE, member)
    assert 'include/caffe/net.hpp' in find_refused(monkeypatch, tarball)


def test_tarball_that_unpacks_too_large_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(source, 'MAX_BYTES', 1 << 20)
    tarball = write_tarball(tmp_path / 'bomb.tar.gz', {**TREE, 'data/zeros': bytes(2 << 20)})
    assert '1 MiB' in find_refused(monkeypatch, tarball)


@pytest.mark.parametrize(
    'damage', [lambda data: data[: len(data) // 2], lambda data: b'<html>404</html>']
)
def test_damaged_tarball_is_refused(monkeypatch, tmp_path, damage):
    tarball = write_tarball(tmp_path / 'caffe.tar.gz', TREE)
    tarball.write_bytes(damage(tarball.read_bytes()))
    assert str(tarball) in find_refused(monkeypatch, tarball)


def test_places_are_tried_in_order_and_the_first_good_one_is_cached(monkeypatch, tmp_path):
    asked = []

    def unavailable(scratch):
        asked.append('apt')
        raise distribution.NotAvailable('E: no such\n  package')

    def upstream(scratch):
        asked.append('upstream')
        return write_tarball(scratch / 'caffe.tar.gz', TREE)

    monkeypatch.setattr(source, 'PLACES', {'apt': unavailable, 'upstream': upstream})
    first = source.find()
    assert asked == ['apt', 'upstream']
    assert source.find() == first and asked == ['apt', 'upstream']

    # A cached tree that was edited since is not trusted but fetched anew.
    (first / 'LICENSE').write_text('mine')
    assert source.find() == first and (first / 'LICENSE').read_bytes() == TREE['LICENSE']
    assert asked == ['apt', 'upstream'] * 2
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_no_source_anywhere_gives_each_reason_and_the_fix(monkeypatch):
    def unavailable(scratch):
        raise distribution.NotAvailable('E: no such\n  package')

    def offline(scratch):
        raise OSError('Network is unreachable')

    def tampered(scratch):
        return write_tarball(scratch / 'caffe.tar.gz', {**TREE, 'LICENSE': b'other'})

    monkeypatch.setattr(
        source, 'PLACES', {'apt': unavailable, 'archive': offline, 'mirror': tampered}
    )
    with pytest.raises(source.SourceError) as error:
        source.find()
    message = str(error.value)
    assert '\n' not in message
    assert 'apt: E: no such package; archive: Network is unreachable; mirror is' in message
    assert message.count('Set CAFFE_SOURCE') == 1


def test_unwritable_cache_says_what_to_set(monkeypatch, tmp_path):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(source.SourceError, match='XDG_CACHE_HOME'):
        source.find()
