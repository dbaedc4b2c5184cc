"""Adds requirements to a built wheel.

What the engine needs to run depends on what it was built for, and scikit-build-core takes the
requirements from pyproject.toml alone.
"""

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path


def require(wheel: Path, requirements: Iterable[str]) -> None:
    """Let `wheel` require `requirements` ("name>=1,<2") as well; whole or not at all."""
    fresh = wheel.with_suffix('.partial')
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(fresh, 'w', zipfile.ZIP_DEFLATED) as new:
        names = {
            Path(name).name: name
            for name in old.namelist()
            if Path(name).parent.suffix == '.dist-info'
        }
        metadata = with_requirements(old.read(names['METADATA']).decode(), requirements).encode()
        record = with_digest(
            old.read(names['RECORD']).decode(), names['METADATA'], metadata
        ).encode()
        replaced = {names['METADATA']: metadata, names['RECORD']: record}
        for entry in old.infolist():
            new.writestr(
                entry, replaced.get(entry.filename) or old.read(entry), zipfile.ZIP_DEFLATED
            )
    fresh.replace(wheel)


def with_requirements(text: str, requirements: Iterable[str]) -> str:
    """Return METADATA `text` with more headers, before the blank line that ends the headers."""
    headers, blank, description = text.partition('\n\n')
    lines = (f'\nRequires-Dist: {requirement}' for requirement in requirements)
    return ''.join([headers.rstrip('\n'), *lines, blank or '\n', description])


def with_digest(text: str, name: str, contents: bytes) -> str:
    """Return RECORD `text` with the digest and the size that the file `name` has now."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).decode().rstrip('=')
    rows = [
        [name, f'sha256={digest}', len(contents)] if row[0] == name else row
        for row in csv.reader(io.StringIO(text))
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator='\n').writerows(rows)
    return out.getvalue()
