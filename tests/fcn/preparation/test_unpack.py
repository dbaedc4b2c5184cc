"""Archives that are hostile, damaged or huge leave nothing behind."""

import gzip
import io
import random
import stat
import tarfile
import zipfile

import archives
import pytest

from fcn.errors import FCNError
from fcn.preparation import ARCHIVES, make, unpack

LABEL = 'VOC2011/SegmentationClass/2007_000000.png'
EVIL = [
    '../escaped.png',
    f'a/../../{LABEL}',
    f'/{LABEL}',
    '/etc/escaped.txt',
    '..\\escaped.png',
    f'..\\{LABEL}',
]


def tar(path, *members, mode='w:gz'):
    """A tar of (name, content or type) pairs."""
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if (
                isinstance(content, bytes)
                and len(content) == 1
                and content
                in (
                    tarfile.SYMTYPE,
                    tarfile.LNKTYPE,
                    tarfile.CHRTYPE,
                    tarfile.BLKTYPE,
                    tarfile.FIFOTYPE,
                )
            ):
                member.type, member.linkname = content, '/etc/passwd'
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def refused(tmp_path, archive, named):
    """`archive`, after a good one, is refused with one line, and nothing of either is left."""
    good = archives.build('voc', tmp_path / 'good')
    outside = {path for path in tmp_path.rglob('*')}
    with pytest.raises(FCNError) as error:
        make('voc', tmp_path / 'data', [*good, archive])
    assert (
        named in str(error.value)
        and str(archive) in str(error.value)
        and '\n' not in str(error.value)
    )
    assert {path for path in tmp_path.rglob('*')} == outside | {tmp_path / 'data'}


@pytest.mark.parametrize('name', EVIL)
def test_a_tar_that_leads_out_is_refused(name, tmp_path):
    refused(tmp_path, tar(tmp_path / 'evil.tgz', (name, b'content')), 'leads out')


@pytest.mark.parametrize('name', EVIL)
def test_a_zip_that_leads_out_is_refused(name, tmp_path):
    refused(tmp_path, archives.write_zip(tmp_path / 'evil.zip', {name: b'content'}), 'leads out')


@pytest.mark.parametrize(
    'kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(kind, tmp_path):
    refused(
        tmp_path,
        tar(tmp_path / 'evil.tar', ('x.png', b'content'), (LABEL, kind), mode='w'),
        f"'{LABEL}' is a link",
    )


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo(LABEL)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = archives.write_zip(tmp_path / 'evil.zip', {'x.png': b'content'})
    with zipfile.ZipFile(archive, 'a') as file:
        file.writestr(info, '/etc/passwd')
    refused(tmp_path, archive, f"'{LABEL}' is a link")


def test_links_elsewhere_are_not_followed(tmp_path):
    """A folder that is a link takes no file with it: members go to the set's own folders."""
    inside = tmp_path / 'elsewhere'
    inside.mkdir()
    path = tmp_path / 'evil.tar'
    with tarfile.open(path, 'w') as archive:
        link = tarfile.TarInfo('SegmentationClass')
        link.type, link.linkname = tarfile.SYMTYPE, str(inside)
        archive.addfile(link)
        member = tarfile.TarInfo('SegmentationClass/a.png')
        member.size = 1
        archive.addfile(member, io.BytesIO(b'x'))
    (tmp_path / 'root').mkdir()
    assert unpack(path, tmp_path / 'root', ARCHIVES['voc'].wanted) == 1
    assert (
        not list(inside.iterdir())
        and (tmp_path / 'root/SegmentationClass/a.png').read_bytes() == b'x'
    )


@pytest.fixture
def small(monkeypatch):
    """Let the bound be 100 kB, as real bombs are slow to make."""
    monkeypatch.setitem(unpack.__globals__, 'MAX_BYTES', 100_000)


@pytest.mark.parametrize('name', [LABEL, 'unwanted.bin'])
def test_a_bomb_is_refused(name, small, tmp_path):
    refused(tmp_path, tar(tmp_path / 'bomb.tgz', (name, bytes(10**6))), '9.31e-05 GiB')
    refused(
        tmp_path,
        archives.write_zip(tmp_path / 'bomb.zip', {name: bytes(10**6)}),
        '9.31e-05 GiB',
    )


def test_a_bomb_of_empty_files_is_refused(small, tmp_path):
    members = [(f'JPEGImages/{index}.jpg', b'') for index in range(200)]
    refused(tmp_path, tar(tmp_path / 'bomb.tgz', *members), '9.31e-05 GiB')


def test_a_bomb_in_a_name_is_refused(tmp_path):
    """A header that announces a long name is not read into memory."""
    header = tarfile.TarInfo('././@LongLink')
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = tmp_path / 'bomb.tgz'
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    refused(tmp_path, path, '8589934592 bytes')


def test_truncated_and_damaged_archives_are_refused(tmp_path):
    content, name = random.Random(0).randbytes(60_000), 'SegmentationClass/a.png'
    whole = {
        'whole.tar': tar(tmp_path / 'whole.tar', (name, content), mode='w'),
        'whole.tgz': tar(tmp_path / 'whole.tgz', (name, content)),
        'whole.zip': archives.write_zip(tmp_path / 'whole.zip', {name: content}),
    }
    for name, path in whole.items():
        good = path.read_bytes()
        for kind, bad in {'cut': good[:30_000], 'none': b'no archive at all', 'empty': b''}.items():
            (tmp_path / f'{kind}-{name}').write_bytes(bad)
            refused(tmp_path, tmp_path / f'{kind}-{name}', 'damaged')
        if name != 'whole.tar':  # which has no checksum of its contents
            (tmp_path / f'bit-{name}').write_bytes(
                good[:30_000] + bytes([good[30_000] ^ 1]) + good[30_001:]
            )
            refused(tmp_path, tmp_path / f'bit-{name}', 'damaged')


@pytest.mark.parametrize('kind', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_other_compression_is_refused(kind, tmp_path):
    with zipfile.ZipFile(tmp_path / 'other.zip', 'w', kind) as archive:
        archive.writestr('SegmentationClass/a.png', b'content' * 100)
    content = bytearray((tmp_path / 'other.zip').read_bytes())
    content[60:70] = bytes(10)  # damaged, too
    (tmp_path / 'other.zip').write_bytes(content)
    refused(tmp_path, tmp_path / 'other.zip', "'SegmentationClass/a.png' is compressed")


def test_a_bare_list_lies_near_the_top():
    """So that an archive's other train.txt files are not taken for the set's."""

    def found(path):
        match = ARCHIVES['sbd'].wanted.search(path)
        return match and match[match.lastindex]

    assert found('benchmark_RELEASE/dataset/train.txt') == found('train.txt') == 'train.txt'
    assert found('a/b/c/d/cls/2008_000001.mat') == 'cls/2008_000001.mat'
    for path in (
        'a/b/c/train.txt',
        'xtrain.txt',
        'train.txt.gz',
        'xcls/a.mat',
        'cls/a/b.mat',
        'cls/._a.mat',
    ):
        assert found(path) is None
