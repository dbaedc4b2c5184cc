"""Downloads that can be interrupted, and whose checksums are compared.

curl does the transport: it is maintained, knows proxies and certificates, and resumes.
It writes to a pipe of ours, so that it ends when we do, however that happens, and no
second run finds it still writing.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from urllib.parse import unquote, urlsplit

from fcn.errors import FCNError
from fcn.io import flush, read_text, write_text
from fcn.text import printable

RECORDS = 'checksums.json'
_NO_RANGES = 33  # curl's exit status where a server cannot resume


class FetchError(FCNError):
    """A file that could not be downloaded."""


class DigestError(FCNError):
    """A file that is not the one its owners, or an earlier download, had."""


def file_name(url):
    """What a file at `url` is called on the disk."""
    return unquote(urlsplit(url).path).rpartition('/')[2]


def fetch(url, target, digest=None, check=None, protocols='https'):
    """Bring the file at `url` to the Path `target`, which appears whole or not at all.

    What an interrupted call received lies in TARGET.partial, and the next goes on from
    there. `digest`, such as 'md5:…', is compared; where none is published, the SHA-256 of
    the first download is recorded in checksums.json beside and compared from then on.
    `check` is called with the file's path before it gets its name. Raises FetchError,
    DigestError or what `check` raises.
    """
    records = target.parent / RECORDS
    known = _recorded(records)
    expected = digest or known.get(url)
    if target.is_file():
        found = compare(target, expected)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f'{target.name}.partial')
        _receive(url, partial, protocols)
        try:
            found = compare(partial, expected)
            if check:
                check(partial)
        except FCNError:
            partial.unlink()
            raise
        flush(partial)
        os.replace(partial, target)
        flush(target.parent)
    if not expected:
        write_text(records, json.dumps(known | {url: found}, indent=2) + '\n')


def _recorded(records):
    """{url: digest} of earlier downloads; DigestError if the file is damaged."""
    try:
        known = json.loads(read_text(records, 1 << 20)) if records.is_file() else {}
        return {str(url): str(digest) for url, digest in known.items()}
    except FCNError:
        raise
    except (ValueError, AttributeError, RecursionError) as error:
        raise DigestError(
            f'{records}: damaged ({error}); remove it to have checksums recorded anew'
        ) from error


def compare(path, expected):
    """The digest of the file as 'algorithm:hex'; DigestError if it is not the one `expected`, if any."""
    algorithm = expected.partition(':')[0] if expected else 'sha256'
    with path.open('rb') as file:
        found = f'{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}'
    if expected and found != expected:
        raise DigestError(
            f'{path}: its checksum is {found}, not {expected}; fetch it again, or take a good copy '
            f'with --from (checksums of earlier downloads stand in {path.with_name(RECORDS)})'
        )
    return found


def warn_if_other(path, digests):
    """Say so if a file of the user's has a published name ({name: digest}) and another checksum."""
    if not (path.is_file() and digests.get(path.name)):
        return
    try:
        compare(path, digests[path.name])
    except DigestError:
        print(
            f'{printable(path)}: not the file its owners publish under this name ({digests[path.name]} is theirs); '
            'taken all the same',
            file=sys.stderr,
        )


def by_hand(error, urls):
    """The FetchError `error` with how to do without: `urls` to fetch elsewhere, and this command with them."""
    files = [word for url in urls for word in ('--from', file_name(url))]
    return FetchError(
        f'{error}. Run the same command again to go on, or fetch {" and ".join(urls)} on another '
        f'machine, put what came into this folder and run: '
        f'python {shlex.join([*sys.argv, *files])}'
    )


def _receive(url, partial, protocols):
    """Append to `partial` until it is all there, for as long as every attempt brings something."""
    partial.touch()
    restarted = False
    while True:
        before = partial.stat().st_size
        status, words = _attempt(url, partial, protocols)
        if status == 0:
            return
        if status == _NO_RANGES and not restarted:
            os.truncate(partial, 0)
            restarted = True
        elif partial.stat().st_size <= before:
            if not before:
                partial.unlink()
            raise FetchError(
                f'{url}: not fetched ({words or f"curl ended with {status}, its words stand above"})'
            )


def _attempt(url, partial, protocols):
    """Run curl once; its exit status, and its words unless they went to a terminal."""
    # The last byte is asked for once more, since servers refuse a range of nothing.
    start = max(partial.stat().st_size - 1, 0)
    terminal = sys.stderr.isatty()
    command = [
        'curl',
        '--proto',
        f'={protocols}',
        '--proto-redir',
        f'={protocols}',
        '--location',
        '--fail',
        '--progress-bar' if terminal else '--silent',
        '--show-error',
        '--connect-timeout',
        '30',
        '--speed-limit',
        '1',
        '--speed-time',
        '60',
        '--continue-at',
        str(start),
        '--url',
        url,
    ]
    if terminal:
        print(f'{url} to {partial.parent}', file=sys.stderr)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if terminal else subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise FetchError(
            f'{url}: not fetched, because the program curl is not installed'
        ) from error
    with child, partial.open('r+b') as file:
        file.seek(start)
        while chunk := child.stdout.read1(1 << 20):
            file.write(chunk)
        words = '' if terminal else child.stderr.read().decode(errors='replace')
    return child.returncode, ' '.join(words.split())
