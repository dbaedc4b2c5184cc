"""Opens a page that shows what nets see, and how they learn.

    python serve.py                              http://127.0.0.1:8000, the runs in runs/
    python serve.py DIR …                        runs elsewhere: of another machine, say
    python serve.py voc-fcn8s=FILE.caffemodel    a net with weights of your own
    python serve.py --host 0.0.0.0 --token WORD  for a network that you trust

Try: drop a photo, compare up to three nets. Watch: the curves of runs as they grow, and what their
snapshots make of the images that they are validated on. Nothing is loaded from other machines, and
runs are only read.
"""

import argparse
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from fcn.cli import Parser, add_device_options, integer, number
from fcn.errors import FCNError
from fcn.nets import find
from fcn.text import printable


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add(
        'sources',
        nargs='*',
        metavar='DIR|NET=FILE',
        help='run folders or folders of them (default: runs), nets with their caffemodels',
    )
    add('--host', default='127.0.0.1', metavar='ADDRESS', help='where to listen (127.0.0.1)')
    add('--port', type=integer(0, 65535), default=8000, metavar='N', help='(default: 8000)')
    add(
        '--token',
        default=os.environ.get('FCN_TOKEN'),
        metavar='WORD',
        help='answer only those who know it: http://HOST/?token=WORD (default: FCN_TOKEN of the '
        'environment)',
    )
    add(
        '--name',
        action='append',
        default=[],
        metavar='HOST',
        help='a host name to answer to, besides addresses and localhost',
    )
    add('--examples', type=Path, metavar='DIR', help='pictures to offer (default: drawn ones)')
    add('--queue', type=integer(1, 10_000), default=32, metavar='N', help='images that may wait')
    add(
        '--max-megabytes',
        type=number(lambda value: 0 < value <= 1024, 'above 0 and at most 1024'),
        default=32,
        metavar='N',
        help='of a picture that is uploaded (default: 32)',
    )
    add(
        '--max-megapixels',
        type=number(lambda value: 0 < value <= 64, 'above 0 and at most 64'),
        default=32,
        metavar='N',
        help='of a picture (default: 32)',
    )
    add(
        '--seconds',
        type=number(lambda value: 1 <= value <= 86_400, 'from 1 to 86400'),
        default=300,
        metavar='N',
        help='that a picture may be computed (default: 300)',
    )
    add_device_options(parser)
    args = parser.parse_args(arguments)
    if args.token is not None and not re.fullmatch(r'[\w.~-]{4,200}', args.token, re.ASCII):
        parser.error('--token: take 4 or more letters, digits, and . _ ~ -')
    return args


def sources(words: Sequence[str]) -> tuple[list[Path], list[tuple[str, Path]]]:
    """Return the folders and the (net, caffemodel) pairs that the arguments name.

    Raises FCNError for what is neither.
    """
    folders: list[Path] = []
    files: list[tuple[str, Path]] = []
    for word in words:
        net, _, file = word.partition('=')
        if Path(word).is_dir():
            folders.append(Path(word))
        elif file:
            if find(net).is_classifier:
                raise FCNError(f'{word}: {net} is a classifier; name an FCN')
            if not Path(file).is_file():
                raise FCNError(f'{file}: no such file; name a caffemodel of {net}')
            files.append((net, Path(file)))
        else:
            raise FCNError(f'{word}: no such folder; name one with runs, or NET=FILE')
    return folders, files


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    folders, files = sources(args.sources)
    if args.examples and not args.examples.is_dir():
        raise FCNError(f'{args.examples}: no such folder; name one with pictures')
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise FCNError(
            f'{error.name} is not installed in this Python; `pip install fastapi uvicorn`'
        ) from error
    from fcn.serving.app import is_loopback
    from fcn.serving.listen import bind, serve
    from fcn.serving.settings import Settings

    settings = Settings(
        folders=tuple(folders) or ((Path('runs'),) if not files else ()),
        files=tuple(files),
        host=args.host,
        port=args.port,
        token=args.token,
        names=(*args.name, socket.gethostname()),
        gpu=args.gpu,
        threads=args.threads,
        queue=args.queue,
        max_bytes=round(args.max_megabytes * 2**20),
        max_pixels=round(args.max_megapixels * 1e6),
        job_seconds=args.seconds,
        examples=args.examples,
    )
    with bind(args.host, args.port) as listening:
        port = listening.getsockname()[1]
        host = args.host if args.host not in ('0.0.0.0', '::') else socket.gethostname()
        host = f'[{host}]' if ':' in host else host
        token = f'/?token={args.token}' if args.token else ''
        if not is_loopback(args.host):
            print(
                'This page is for networks that you trust: whoever reaches it can make this '
                'machine compute' + ('.' if token else '; --token WORD asks for a word first.')
            )
        print(f'http://{printable(host)}:{port}{token}   Ctrl-C ends it', flush=True)
        serve(settings, listening)
