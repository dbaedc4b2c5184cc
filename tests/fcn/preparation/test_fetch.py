"""Downloads: interrupted, resumed, wrong, and not to be had."""

import hashlib
import json
import random
from dataclasses import replace

import archives
import pytest

from fcn.commands import prepare
from fcn.errors import FCNError
from fcn.preparation import ARCHIVES, DigestError, FetchError, fetch, make

CONTENT = random.Random(0).randbytes(300_000)


@pytest.fixture
def server(server):
    """The server, with one file."""
    server.files = {'/file.bin': CONTENT}
    server.url += '/file.bin'
    return server


def sha256(content=CONTENT):
    return f'sha256:{hashlib.sha256(content).hexdigest()}'


def test_a_dropped_connection_is_resumed(server, tmp_path):
    server.drops = [100_000, 50_000]
    fetch(server.url, tmp_path / 'file.bin', sha256(), protocols='http')
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT
    assert server.requested == [None, 99_999, 149_998]
    assert {path.name for path in tmp_path.iterdir()} == {'file.bin'}


def test_an_earlier_run_is_resumed(server, tmp_path):
    """Also if it had everything but the last rename."""
    for have in (1, 123_456, len(CONTENT)):
        (tmp_path / 'file.bin.partial').write_bytes(CONTENT[:have])
        fetch(server.url, tmp_path / 'file.bin', sha256(), protocols='http')
        assert (tmp_path / 'file.bin').read_bytes() == CONTENT
        assert server.requested.pop() == (have - 1 or None)
        (tmp_path / 'file.bin').unlink()


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    server.ranges, server.drops = False, [100_000]
    fetch(server.url, tmp_path / 'file.bin', sha256(), protocols='http')
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT
    assert server.requested == [None, 99_999, None]


def test_a_server_that_never_sends_all_of_it_is_given_up(server, tmp_path):
    server.ranges, server.drops = False, [100_000] * 9
    with pytest.raises(FetchError, match=r'file\.bin'):
        fetch(server.url, tmp_path / 'file.bin', protocols='http')
    assert len(server.requested) < 9 and not (tmp_path / 'file.bin').exists()


def test_a_wrong_checksum_is_refused_and_not_resumed(server, tmp_path):
    with pytest.raises(DigestError, match=f'md5:{hashlib.md5(CONTENT).hexdigest()}, not md5:0000'):
        fetch(server.url, tmp_path / 'file.bin', 'md5:' + 32 * '0', protocols='http')
    assert not list(tmp_path.iterdir())
    for published in ('md5', 'sha1'):
        fetch(
            server.url,
            tmp_path / published,
            f'{published}:{hashlib.new(published, CONTENT).hexdigest()}',
            protocols='http',
        )
    assert {path.name for path in tmp_path.iterdir()} == {'md5', 'sha1'}


def test_what_was_downloaded_before_is_compared(server, tmp_path):
    target = tmp_path / 'file.bin'
    fetch(server.url, target, protocols='http')
    assert json.loads((tmp_path / 'checksums.json').read_text()) == {server.url: sha256()}
    target.write_bytes(CONTENT[:-1])
    with pytest.raises(DigestError, match=f'{target}: .*{sha256()}'):
        fetch(server.url, target, protocols='http')
    target.unlink()
    server.files['/file.bin'] = b'changed' + CONTENT
    with pytest.raises(DigestError, match=r'checksums\.json'):
        fetch(server.url, target, protocols='http')
    assert not target.exists()
    server.files['/file.bin'] = CONTENT
    fetch(server.url, target, protocols='http')
    before = len(server.requested)
    fetch(server.url, target, protocols='http')
    assert len(server.requested) == before


def test_only_https_is_spoken(server, tmp_path):
    with pytest.raises(FetchError, match=r'file\.bin'):
        fetch(server.url, tmp_path / 'file.bin')
    assert server.requested == []


def test_a_missing_page_is_no_file(server, tmp_path):
    with pytest.raises(FetchError, match='404'):
        fetch(server.url + '.gz', tmp_path / 'file.bin', protocols='http')
    assert not list(tmp_path.iterdir())


def test_a_missing_curl_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(FetchError, match='curl'):
        fetch(server.url, tmp_path / 'file.bin', protocols='http')


def serve(server, monkeypatch, name, given, digest=None):
    """Let the set's downloads be the files `given` on the test's server."""
    server.files = {f'/{path.name}': path.read_bytes() for path in given}
    base = server.url.rpartition('/')[0]
    downloads = tuple(
        replace(source, url=f'{base}/{source.name}', digest=digest)
        for source in ARCHIVES[name].downloads
    )
    monkeypatch.setitem(ARCHIVES, name, replace(ARCHIVES[name], downloads=downloads))


@pytest.mark.parametrize('name', ['voc', 'nyud', 'siftflow', 'pascal-context'])
def test_a_set_is_fetched_whole_in_spite_of_drops(name, server, tmp_path, monkeypatch, capsys):
    given = archives.build(name, tmp_path / 'owner')
    serve(server, monkeypatch, name, given)
    server.drops = [1000, 2000]
    made = make(name, tmp_path / 'data', protocols='http')
    assert made == make(name, tmp_path / 'again', given)
    kept = {path.name: path.read_bytes() for path in (tmp_path / 'data/downloads' / name).glob('*')}
    assert {path.name: path.read_bytes() for path in given} | {
        'checksums.json': kept['checksums.json']
    } == kept
    before = len(server.requested)
    make(name, tmp_path / 'data', protocols='http')
    assert len(server.requested) == before
    prepare.main([name, '--data', str(tmp_path / 'data')])
    assert f'{tmp_path}/data/downloads/{name}' in capsys.readouterr().out


def test_a_set_goes_on_where_its_download_was_cut(server, tmp_path, monkeypatch):
    voc = archives.build('voc', tmp_path / 'owner')
    serve(server, monkeypatch, 'voc', voc)
    size = voc[0].stat().st_size
    server.drops = [size // 2, 0]  # and then the network is gone
    with pytest.raises(FetchError, match=f'{server.url.rpartition("/")[0]}.*same command'):
        make('voc', tmp_path / 'data', protocols='http')
    assert {path.name for path in (tmp_path / 'data').iterdir()} == {'downloads'}
    make('voc', tmp_path / 'data', protocols='http')
    assert server.requested == [None, size // 2 - 1, size // 2 - 1]


def test_an_archive_that_changed_at_its_owners_is_refused(server, tmp_path, monkeypatch):
    serve(
        server,
        monkeypatch,
        'voc',
        archives.build('voc', tmp_path / 'owner'),
        digest='md5:' + 32 * 'a',
    )
    with pytest.raises(FCNError, match=f'md5:aaa.*{tmp_path}/data/downloads/voc'):
        make('voc', tmp_path / 'data', protocols='http')
    assert not [path for path in (tmp_path / 'data').rglob('*') if path.is_file()]


def test_a_page_in_place_of_an_archive_is_refused(server, tmp_path, monkeypatch):
    sbd = archives.build('sbd', tmp_path / 'owner')
    sbd[0].write_bytes(b'<html>moved</html>')
    serve(server, monkeypatch, 'sbd', sbd)
    with pytest.raises(FCNError, match=f'benchmark.tgz: .*{tmp_path}/data/downloads/sbd'):
        make('sbd', tmp_path / 'data', protocols='http')
    assert {path.name for path in (tmp_path / 'data').iterdir()} == {'downloads'}
