"""Downloads that can be interrupted, and whose checksums are compared.

curl does the transport: it is maintained, knows proxies and certificates, and resumes. It writes to
a pipe of this process, so that it ends with it, however that ends, and no second run finds it still
writing.
"""

import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit

from fcn.errors import FCNError
from fcn.io import flush, read_text, write_text
from fcn.text import printable

RECORDS = 'checksums.json'
_MAX_RECORDS = 1 << 20  # bytes
_NO_RANGES = 33  # curl's exit status where a server cannot resume
# Give up after 30 s without a connection, or 60 s without a byte.
_PATIENCE = ('--connect-timeout', '30', '--speed-limit', '1', '--speed-time', '60')


class FetchError(FCNError):
    """A file could not be downloaded."""


class DigestError(FCNError):
    """A file has another checksum than its owners published, or than an earlier download had."""


def file_name(url: str) -> str:
    """Return what a file at `url` is called on the disk."""
    return unquote(urlsplit(url).path).rpartition('/')[2]


def fetch(
    url: str,
    target: Path,
    digest: str | None = None,
    check: Callable[[Path], Any] | None = None,
    protocols: str = 'https',
) -> None:
    """Bring the file at `url` to `target`, which appears whole or not at all.

    What an interrupted call received lies in TARGET.partial, and the next call goes on from there.
    The file is compared with its `digest`, such as 'md5:…'; where none is published, the SHA-256 of
    the first download is recorded in checksums.json next to it and compared from then on. `check`
    is called with the file's path before it gets its name. Raises FetchError, DigestError or what
    `check` raises.
    """
    records = target.parent / RECORDS
    known = _recorded(records)
    expected = digest or known.get(url)
    if target.is_file():
        actual = compare(target, expected)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f'{target.name}.partial')
        _receive(url, partial, protocols)
        try:
            actual = compare(partial, expected)
            if check:
                check(partial)
        except FCNError:
            partial.unlink()
            raise
        flush(partial)
        os.replace(partial, target)
        flush(target.parent)
    if not expected:
        write_text(records, json.dumps(known | {url: actual}, indent=2) + '\n')


def _recorded(records: Path) -> dict[str, str]:
    """Return {url: digest} of earlier downloads. Raises DigestError if the file is damaged."""
    try:
        known = json.loads(read_text(records, _MAX_RECORDS)) if records.is_file() else {}
        return {str(url): str(digest) for url, digest in known.items()}
    except FCNError:
        raise
    except (ValueError, AttributeError, RecursionError) as error:
        raise DigestError(
            f'{records}: damaged ({error}); remove it to have checksums recorded again'
        ) from error


def compare(path: Path, expected: str | None) -> str:
    """Return the digest of the file as 'algorithm:hex'. Raises DigestError unless it is `expected`,
    if that is given."""
    algorithm = expected.partition(':')[0] if expected else 'sha256'
    with path.open('rb') as file:
        actual = f'{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}'
    if expected and actual != expected:
        raise DigestError(
            f'{path}: its checksum is {actual}, not {expected}; fetch it again, or give a good '
            'copy with --from (checksums of earlier downloads stand in '
            f'{path.with_name(RECORDS)})'
        )
    return actual


def warn_if_other(path: Path, digests: Mapping[str, str | None]) -> None:
    """Print a warning if a user's file has a published name, of {name: digest}, but another
    checksum."""
    expected = digests.get(path.name)
    if not (path.is_file() and expected):
        return
    try:
        compare(path, expected)
    except DigestError:
        print(
            f'{printable(path)}: not the file that its owners publish under this name, whose '
            f'checksum is {expected}; it is used all the same',
            file=sys.stderr,
        )


def by_hand(error: FetchError, urls: Sequence[str]) -> FetchError:
    """Return `error` with what to do without a connection: fetch `urls` elsewhere and give the
    files to this command."""
    files = [word for url in urls for word in ('--from', file_name(url))]
    program, *arguments = sys.argv
    if program.endswith('.py'):
        program = f'python {shlex.quote(program)}'
    return FetchError(
        f'{error}; run the same command again to go on, or fetch {" and ".join(urls)} on another '
        f'machine, put the files into this folder and run: '
        f'{program} {shlex.join([*arguments, *files])}'
    )


def _receive(url: str, partial: Path, protocols: str) -> None:
    """Append to `partial` until it is complete, for as long as every attempt brings something."""
    partial.touch()
    restarted = False
    while True:
        before = partial.stat().st_size
        status, messages = _attempt(url, partial, protocols)
        if status == 0:
            return
        if status == _NO_RANGES and not restarted:
            os.truncate(partial, 0)
            restarted = True
        elif partial.stat().st_size <= before:
            if not before:
                partial.unlink()
            reason = messages or f'curl ended with {status}, its messages stand above'
            raise FetchError(f'{url}: not fetched ({reason})')


def _attempt(url: str, partial: Path, protocols: str) -> tuple[int, str]:
    """Run curl once. Return its exit status, and its messages unless they went to a terminal."""
    # The last byte is requested once more, because servers refuse an empty range.
    start = max(partial.stat().st_size - 1, 0)
    terminal = sys.stderr.isatty()
    command = ['curl', '--proto', f'={protocols}', '--proto-redir', f'={protocols}']
    command += ['--location', '--fail', '--progress-bar' if terminal else '--silent']
    command += ['--show-error', *_PATIENCE, '--continue-at', str(start), '--url', url]
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
            f'{url}: not fetched, because the program curl is not installed; install it'
        ) from error
    with child, partial.open('r+b') as file:
        file.seek(start)
        _copy(child.stdout, file)
        messages = child.stderr.read().decode(errors='replace') if child.stderr else ''
    return child.returncode, ' '.join(messages.split())


def _copy(source: IO[bytes] | None, target: IO[bytes]) -> None:
    """Write what comes through a pipe as it comes, so that an interrupted download keeps it."""
    stream = cast(io.BufferedReader, source)
    while chunk := stream.read1(1 << 20):
        target.write(chunk)
