"""Fetches Caffe's source package from the distribution's own archive, by apt.

Debian and Ubuntu stopped shipping Caffe, but their older suites still have it, and the mirrors
still have those suites. The machine's sources are read, not changed: a private list names the same
archives, with the older suite and deb-src. apt keeps its lists, state and downloads in a scratch
folder, so an ordinary user can run it. It checks signatures with the keys that the machine trusts
already.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

APT = Path('/etc/apt')
OS_RELEASE = Path('/etc/os-release')
# Family → the suite and the components that have the source package.
SUITES = {'ubuntu': ('jammy', 'main universe'), 'debian': ('bullseye', 'main')}
TIMEOUT = 300  # seconds for one apt-get


class NotAvailable(Exception):
    """The source cannot be had from the distribution. The message is the reason."""


# A source entry of apt's, by its deb822 fields: Types, URIs, Suites, Components, Signed-By …
Entry = dict[str, str]


def source_package(scratch: Path) -> Path:
    """Download Caffe's original tarball into the folder `scratch` and return its path.

    Raises NotAvailable if that is not possible.
    """
    if not shutil.which('apt-get'):
        raise NotAvailable('no apt-get on this machine')
    (scratch / 'caffe.sources').write_text(
        private_list(read_os_release(OS_RELEASE), read_entries(APT))
    )
    for folder in ('parts', 'state/lists/partial', 'cache/archives/partial'):
        (scratch / folder).mkdir(parents=True)
    (scratch / 'caffe.sources').rename(scratch / 'parts' / 'caffe.sources')
    # An archive that lacks the suite fails the update, but another archive may have it. So only the
    # result of the second command counts.
    updated = apt_get(scratch, 'update')
    fetched = apt_get(scratch, 'source', '--download-only', '--only-source', 'caffe')
    tarballs = sorted(scratch.glob('caffe_*.orig.tar.*'))
    if not tarballs:
        raise NotAvailable(
            first_error(updated.stderr) or first_error(fetched.stderr) or 'apt-get found none'
        )
    return tarballs[0]


def apt_get(scratch: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get on the private list in `scratch`; all that it writes goes into that folder."""
    options: dict[str, str | Path] = {
        'Dir::Etc::sourcelist': '/dev/null',
        'Dir::Etc::sourceparts': scratch / 'parts',
        'Dir::State': scratch / 'state',
        'Dir::State::status': '/var/lib/dpkg/status',
        'Dir::Cache': scratch / 'cache',
        # The scratch folder is closed to apt's own user.
        'APT::Sandbox::User': 'root',
        # The suite is so old that it gets no updates any more.
        'Acquire::Check-Valid-Until': 'false',
        'Acquire::Retries': '2',
    }
    flags = [word for name, value in options.items() for word in ('-o', f'{name}={value}')]
    try:
        return subprocess.run(
            ['apt-get', '--quiet', *flags, *command],
            cwd=scratch,
            env={**os.environ, 'LC_ALL': 'C'},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise NotAvailable(f'apt-get {command[0]} did not end within {TIMEOUT} seconds') from error


def first_error(text: str) -> str:
    """Return the first of apt's `E:` lines, or an empty string."""
    return next((line[2:].strip() for line in text.splitlines() if line.startswith('E:')), '')


def private_list(release: dict[str, str], entries: Iterable[Entry]) -> str:
    """Return a deb822 source list of the machine's archives, for Caffe's source package.

    `release` is os-release as a dict, and `entries` are the machine's own, from `read_entries`.
    Security updates and third parties are left out: only an entry for `main` of the running
    suite, signed by the distribution, is the distribution's main archive. Raises NotAvailable where
    there is none.
    """
    kin = f'{release.get("ID")} {release.get("ID_LIKE")}'.split()
    family = next((name for name in SUITES if name in kin), None)
    if family is None:
        raise NotAvailable(
            f'{release.get("PRETTY_NAME", "this system")} is neither Debian nor Ubuntu'
        )
    running = release.get('UBUNTU_CODENAME') or release.get('VERSION_CODENAME')
    suite, components = SUITES[family]
    stanzas = {}
    for entry in entries:
        trust = ''.join(
            f'{field}: {entry[field]}\n' for field in ('Signed-By', 'Trusted') if field in entry
        )
        if 'deb' not in entry['Types'].split() or entry.get('Enabled', 'yes').lower() == 'no':
            continue
        if running not in entry['Suites'].split() or 'main' not in entry['Components'].split():
            continue
        if 'Signed-By' in entry and '-archive-keyring' not in entry['Signed-By']:
            continue
        for uri in entry['URIs'].split():
            where = f'Types: deb-src\nURIs: {uri}\nSuites: {suite}\nComponents: {components}\n'
            stanzas[uri.rstrip('/')] = where + trust
    if not stanzas:
        raise NotAvailable(f"apt's sources name no archive of {running} main")
    return '\n'.join(stanzas.values())


def read_os_release(path: Path) -> dict[str, str]:
    """Return the assignments of an os-release file, as a dict; empty if there is no such file."""
    lines = path.read_text().splitlines() if path.is_file() else []
    words = (line.partition('=') for line in lines if '=' in line and not line.startswith('#'))
    return {name: ''.join(shlex.split(value)) for name, _, value in words}


def read_entries(apt: Path) -> list[Entry]:
    """Return apt's source entries below the folder `apt`, of both formats, as deb822 fields."""
    lists = [apt / 'sources.list', *sorted((apt / 'sources.list.d').glob('*.list'))]
    entries = [
        entry for path in lists if path.is_file() for entry in one_line_entries(path.read_text())
    ]
    for path in sorted((apt / 'sources.list.d').glob('*.sources')):
        entries += deb822_entries(path.read_text())
    return entries


def one_line_entries(text: str) -> Iterator[Entry]:
    """Parse lines such as `deb [signed-by=KEYRING] URI SUITE COMPONENT...`."""
    pattern = re.compile(r'(deb|deb-src)\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(\S.*)')
    for row in text.splitlines():
        match = pattern.fullmatch(row.partition('#')[0].strip())
        if not match:
            continue
        types, words, uri, suite, components = match.groups()
        entry = {'Types': types, 'URIs': uri, 'Suites': suite, 'Components': components}
        options = dict(word.split('=', 1) for word in (words or '').split() if '=' in word)
        if 'signed-by' in options:
            entry['Signed-By'] = options['signed-by'].replace(',', ' ')
        if 'trusted' in options:
            entry['Trusted'] = options['trusted']
        yield entry


def deb822_entries(text: str) -> Iterator[Entry]:
    """Parse stanzas of `Field: value`, where a value may go on in indented lines."""
    text = ''.join(row for row in text.splitlines(keepends=True) if not row.startswith('#'))
    for stanza in re.split(r'\n\s*\n', text):
        unfolded = re.findall(r'^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)', stanza, re.MULTILINE)
        # Case does not matter in field names. A Signed-By that is a whole key stays folded.
        entry = {
            '-'.join(part.capitalize() for part in name.split('-')): value
            for name, value in unfolded
        }
        entry = {'URIs' if name == 'Uris' else name: value for name, value in entry.items()}
        if {'Types', 'URIs', 'Suites'} <= entry.keys():
            yield {'Components': '', **entry}
