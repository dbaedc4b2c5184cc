"""The private apt list is made from the machine's own archives, and apt fetches from it."""

import hashlib
import shutil

import pytest

import distribution

BOOKWORM = {'ID': 'debian', 'VERSION_CODENAME': 'bookworm', 'PRETTY_NAME': 'Debian 12'}
NOBLE = {'ID': 'ubuntu', 'ID_LIKE': 'debian', 'VERSION_CODENAME': 'noble'}
DEBIAN_SOURCES = """\
# the archive
Types: deb deb-src
URIs: http://mirror.example/debian/
  http://second.example/debian
suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://third-party.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGFsA
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""
UBUNTU_LIST = """\
deb http://mirror.example/ubuntu noble main restricted # the archive
deb http://mirror.example/ubuntu noble universe
deb-src http://sources.example/ubuntu noble main
deb [arch=amd64 signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.example/apt noble main
deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://near.example/ubuntu noble main
# deb http://commented.example/ubuntu noble main
deb http://security.example/ubuntu noble-security main
"""


def apt_folder(tmp_path, name, text):
    """A folder laid out as /etc/apt that holds one file."""
    path = tmp_path / 'apt' / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return tmp_path / 'apt'


def test_list_from_deb822_sources(tmp_path):
    entries = distribution.read_entries(
        apt_folder(tmp_path, 'sources.list.d/debian.sources', DEBIAN_SOURCES)
    )
    stanza = (
        'Types: deb-src\nURIs: {}\nSuites: bullseye\nComponents: main\n'
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n'
    )
    uris = ('http://mirror.example/debian/', 'http://second.example/debian')
    assert distribution.private_list(BOOKWORM, entries) == '\n'.join(
        stanza.format(uri) for uri in uris
    )


@pytest.mark.parametrize('name', ['sources.list', 'sources.list.d/ubuntu.list'])
def test_list_from_one_line_sources(tmp_path, name):
    entries = distribution.read_entries(apt_folder(tmp_path, name, UBUNTU_LIST))
    stanza = 'Types: deb-src\nURIs: {}\nSuites: jammy\nComponents: main universe\n'
    assert distribution.private_list(NOBLE, entries) == (
        stanza.format('http://mirror.example/ubuntu')
        + '\n'
        + stanza.format('http://near.example/ubuntu')
        + 'Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n'
    )


def test_derivatives_take_the_archive_of_what_they_derive_from():
    mint = {
        'ID': 'linuxmint',
        'ID_LIKE': 'ubuntu',
        'VERSION_CODENAME': 'wilma',
        'UBUNTU_CODENAME': 'noble',
    }
    assert 'Suites: jammy' in distribution.private_list(
        mint, distribution.one_line_entries(UBUNTU_LIST)
    )


def test_other_systems_have_no_source_package():
    with pytest.raises(distribution.NotAvailable, match='Fedora 42 is neither Debian nor Ubuntu'):
        distribution.private_list({'ID': 'fedora', 'PRETTY_NAME': 'Fedora 42'}, [])
    with pytest.raises(distribution.NotAvailable, match='no archive of bookworm main'):
        distribution.private_list(BOOKWORM, distribution.one_line_entries(UBUNTU_LIST))


def test_os_release_is_read(tmp_path):
    (tmp_path / 'os-release').write_text(
        '# a comment\nID=debian\nPRETTY_NAME="Debian 12 (bookworm)"\n\n'
    )
    read = distribution.read_os_release(tmp_path / 'os-release')
    assert read == {'ID': 'debian', 'PRETTY_NAME': 'Debian 12 (bookworm)'}
    assert distribution.read_os_release(tmp_path / 'nowhere') == {}


@pytest.fixture
def archive(tmp_path):
    """A package archive on disk whose suite bullseye holds a source package named caffe."""
    pool = tmp_path / 'archive/pool'
    pool.mkdir(parents=True)
    (pool / 'caffe_1.0.orig.tar.gz').write_bytes(b'a tarball')
    (pool / 'caffe_1.0-1.dsc').write_bytes(b'Source: caffe\n')
    sums = ''.join(
        f' {sha256(path)} {path.stat().st_size} {path.name}\n' for path in sorted(pool.iterdir())
    )
    index = tmp_path / 'archive/dists/bullseye/main/source/Sources'
    index.parent.mkdir(parents=True)
    index.write_text(
        'Package: caffe\nFormat: 1.0\nBinary: caffe\nArchitecture: any\nVersion: 1.0-1\n'
        f'Directory: pool\nChecksums-Sha256:\n{sums}'
    )
    (tmp_path / 'archive/dists/bullseye/Release').write_text(
        'Origin: test\nSuite: bullseye\nCodename: bullseye\nComponents: main\nArchitectures: all\n'
        'Date: Tue, 21 Aug 2018 00:00:00 UTC\n'
        f'SHA256:\n {sha256(index)} {index.stat().st_size} main/source/Sources\n'
    )
    return tmp_path / 'archive'


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Let the machine be Debian 12 with the given one-line sources."""
    if not shutil.which('apt-get'):
        pytest.skip('no apt-get on this machine')
    (tmp_path / 'os-release').write_text('ID=debian\nVERSION_CODENAME=bookworm\n')
    monkeypatch.setattr(distribution, 'OS_RELEASE', tmp_path / 'os-release')
    monkeypatch.setattr(distribution, 'APT', tmp_path / 'apt')
    (tmp_path / 'scratch').mkdir()
    return lambda text: apt_folder(tmp_path, 'sources.list', text)


def test_apt_fetches_the_original_tarball(archive, machine, tmp_path):
    """Also when another of the machine's archives does not hold the suite any more."""
    machine(
        ''.join(
            f'deb [trusted=yes] file:{at} bookworm main\n' for at in (tmp_path / 'gone', archive)
        )
    )
    tarball = distribution.source_package(tmp_path / 'scratch')
    assert (
        tarball == tmp_path / 'scratch/caffe_1.0.orig.tar.gz'
        and tarball.read_bytes() == b'a tarball'
    )


def test_apts_own_error_is_the_reason(machine, tmp_path):
    machine(f'deb [trusted=yes] file:{tmp_path}/gone bookworm main\n')
    with pytest.raises(distribution.NotAvailable, match='gone'):
        distribution.source_package(tmp_path / 'scratch')
