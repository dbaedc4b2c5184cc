"""What the commands share: options, progress bars, and how a user's mistake ends a command."""

import argparse
import contextlib
import functools
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

import fcn
from fcn import mpi
from fcn.errors import FCNError, FCNErrors
from fcn.text import printable, shortened

INT32 = 2**31 - 1  # the largest number in Caffe's solver files
MAX_THREADS = 4096
# Seconds until a process that is not the first tells a mistake: the first may tell the same.
PATIENCE = 1
OUT_OF_MEMORY = 'there is not enough memory; end other programs, or take smaller images'


def run(main: Callable[[], int | None]) -> NoReturn:
    """Call `main` and exit with what it returns.

    A mistake of the user's exits with 2 and one line, Ctrl-C and SIGTERM with 130. Of processes
    that MPI connects, one that fails alone ends all.
    """
    for stream in (sys.stdout, sys.stderr):  # What a terminal cannot show must not end us.
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
    sys.stderr = _Messages(sys.stderr)
    _show_log()
    # As Ctrl-C: what is half-written is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    alone = False
    try:
        status = main()
    except KeyboardInterrupt:
        status, alone = 130, True
    except (FCNError, OSError, MemoryError) as error:
        status, alone = 2, not getattr(error, 'agreed', False)
        if alone and mpi.connected() and not _is_first():
            time.sleep(PATIENCE)
        if alone or _is_first():
            _tell(error)
    if alone and mpi.connected():
        mpi.abort(status or 0)
    sys.exit(status)


def _tell(error: Exception) -> None:
    """Print a user's mistakes on stderr, a line each."""
    rank, _ = mpi.launched()
    where = f'rank {rank}: ' if rank and mpi.connected() else ''
    for line in error.lines if isinstance(error, FCNErrors) else [str(error)]:
        message = shortened(printable(line or OUT_OF_MEMORY))
        print(f'{program_name()}: {where}{message}', file=sys.stderr)


def _is_first() -> bool:
    """Return whether this is the process that speaks, of those that a launcher started."""
    return mpi.launched()[0] == 0


def program_name() -> str:
    """Return the name of the command as its user typed it: solve.py, surgery or fcn solve."""
    program = Path(sys.argv[0])
    return program.name if program.stem != '__main__' else program.parent.name


class _AboveTheBar(logging.Handler):
    """Shows what the library reports on stderr, above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        level = 'WARNING: ' if record.levelno >= logging.WARNING else ''
        tqdm.write(f'{level}{printable(record.getMessage())}', file=sys.stderr)


def _show_log() -> None:
    log = logging.getLogger('fcn')
    if not any(isinstance(handler, _AboveTheBar) for handler in log.handlers):
        log.addHandler(_AboveTheBar())
    log.setLevel(logging.INFO)


class _Messages:
    """Wraps stderr so that a closed terminal never ends the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, message: str) -> int:
        with contextlib.suppress(OSError):
            return self._stream.write(message)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


class Parser(argparse.ArgumentParser):
    """Reads a command's arguments: --help shows `description` as it stands, a mistake is one line
    and exit code 2."""

    def __init__(self, description: str | None = None, **options: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=formatter, **options)
        self.add_argument('--version', action='version', version=f'fcn {fcn.__version__}')

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        given = sys.argv[1:] if args is None else list(args)
        # An empty argument would mean a default.
        for option, value in zip(['', *given], given, strict=False):
            if value == '' or (value.startswith('--') and value.endswith('=')):
                where = f' for {option}' if option.startswith('--') else ''
                self.error(
                    f'an empty argument{where}, as of a shell variable that is not set; '
                    'give one or leave it out'
                )
        return super().parse_known_args(given, namespace)

    def _print_message(self, message: str, file: Any = None) -> None:
        if _is_first():  # Each of the processes that a launcher started would say the same.
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        message = shortened(printable(message))
        self.exit(2, f'{self.prog}: {message}; --help says what may be given\n')


def integer(minimum: int, maximum: int = INT32) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number from `minimum` to `maximum`."""

    def convert(text: str) -> int:
        value = int(text)
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f'{text[:40]} is not a whole number from {minimum} to {maximum}'
            )
        return value

    convert.__name__ = 'whole number'
    return convert


def number(fits: Callable[[float], bool], condition: str) -> Callable[[str], float]:
    """Return the type of an argument that is a number which `fits`, as `condition` says."""

    def convert(text: str) -> float:
        value = float(text)
        if not fits(value):
            raise argparse.ArgumentTypeError(f'{text[:40]} is not {condition}')
        return value

    convert.__name__ = 'number'
    return convert


# Also in Caffe's single precision.
positive = number(lambda value: 1e-37 < value < 1e38, 'between 1e-37 and 1e38')


def folder_for_caffe(text: str) -> Path:
    """Return the Path of a folder whose name Caffe can be told."""
    try:
        os.path.realpath(text).encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(
            f'{printable(text)} is not named in UTF-8; name another folder'
        ) from error
    return Path(text)


def add_net_options(parser: argparse.ArgumentParser, weights: str, several: bool = False) -> None:
    """Add --weights, described by `weights`, --gpu, --threads and --runs to an argparse parser."""
    add = parser.add_argument
    add('--weights', metavar='FILE', help=weights, action='append' if several else 'store')
    add_device_options(parser)
    add(
        '--runs',
        type=folder_for_caffe,
        default=Path('runs'),
        metavar='DIR',
        help='where run folders lie (default: runs)',
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add --gpu and --threads to an argparse parser."""
    parser.add_argument(
        '--gpu',
        type=integer(-1),
        metavar='ID',
        help='device; −1 is the CPU (default: the first GPU if the engine has CUDA, else the CPU)',
    )
    add_threads_option(parser)


def add_threads_option(parser: argparse.ArgumentParser) -> None:
    """Add --threads to an argparse parser."""
    parser.add_argument(
        '--threads',
        type=integer(1, MAX_THREADS),
        metavar='N',
        help='threads on the CPU (default: OMP_NUM_THREADS, or as many as are granted)',
    )


def snapshot_choice(text: str) -> str | int:
    """Return which snapshot an argument means: best, newest or an iteration."""
    if text in ('best', 'newest'):
        return text
    try:
        return integer(1)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'{text[:40]} is not best, newest or an iteration'
        ) from error


def add_white_option(parser: Any) -> None:
    """Add --white to an argparse parser, or a group of one."""
    parser.add_argument(
        '--white',
        type=integer(1, 2**31 - 1),
        metavar='VALUE',
        help='the value that is white in images of more than 8 bits: 4095 for 12 bits (default: '
        '65535)',
    )


def add_class_options(parser: Any) -> None:
    """Add the options that say which classes masks hold to an argparse parser, or a group of
    one."""
    add = parser.add_argument
    add(
        '--classes',
        metavar='N|FILE|NAMES',
        help='the classes: their number, a file of names, names with commas, or voc',
    )
    add(
        '--legend',
        type=Path,
        metavar='FILE',
        help='names and colours of the classes: CSV or JSON, or labelmap.txt',
    )
    add(
        '--foreground',
        type=integer(1, 2**31 - 1),
        metavar='VALUE',
        help='the value of the second class in masks of one kind of object, such as 255',
    )
    add(
        '--unknown',
        choices=('refuse', 'snap', 'void'),
        default='refuse',
        help='what pixels are whose colour is of no class: a mistake, the nearest class, or void '
        '(default: refuse)',
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a set of the user's own images holds to an argparse parser."""
    group = parser.add_argument_group('images of your own')
    add = group.add_argument
    add_class_options(group)
    add(
        '--unlabelled',
        choices=('background', 'void'),
        default='background',
        help='what pixels are that no polygon covers, and transparent ones (default: background)',
    )
    add(
        '--val-share',
        type=number(lambda value: 0 < value < 1, 'between 0 and 1'),
        default=0.2,
        metavar='P',
        help='the share of the images to validate on, where the set has no lists (default: 0.2)',
    )
    add_white_option(group)


def add_snapshot_option(parser: argparse.ArgumentParser, use: str) -> None:
    """Add --snapshot to an argparse parser; `use` says what the snapshot is for."""
    parser.add_argument(
        '--snapshot',
        type=snapshot_choice,
        metavar='WHICH',
        help=f"a run folder's snapshot {use}: best, newest or an iteration (default: the best "
        'that was validated, else the newest)',
    )


def bar(title: str, unit: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Return what wraps an iteration in a progress bar on stderr."""
    return functools.partial(
        tqdm, desc=title, unit=unit, dynamic_ncols=True, disable=not _is_first()
    )


def part(text: str) -> mpi.Part:
    """Return the part of a work that an argument I/N means."""
    number, slash, count = text.partition('/')
    if not slash or not (number.isdecimal() and count.isdecimal()):
        raise argparse.ArgumentTypeError(f'{text[:40]} is not I/N, such as 2/4')
    if not 1 <= int(number) <= int(count) <= INT32:
        raise argparse.ArgumentTypeError(f'{text[:40]}: the parts are 1/{count[:12]} to N/N')
    return mpi.Part(int(number) - 1, int(count))


def add_part_option(parser: Any, use: str) -> None:
    """Add --part to an argparse parser; `use` says what is done of it."""
    parser.add_argument(
        '--part', type=part, metavar='I/N', help=f'{use} part I of N alone, as in a job array'
    )


COMMANDS = {
    'solve': 'train nets, each stage from the last',
    'score': 'measure mean IU on a data set',
    'infer': 'segment images',
    'export': 'write a net as ONNX, to run elsewhere',
    'prepare': 'fetch data sets and weights',
    'serve': 'open a page to try nets and to watch runs',
    'curves': 'draw learning curves of runs',
    'net': "write a net's prototxts, or list the nets",
    'surgery': 'make starting weights; cast and rarefy nets',
    'check': 'look through a folder of your own images and labels',
    'convert': 'turn colour masks into label PNGs',
    'hha': 'encode depth images as HHA',
}


def main() -> NoReturn:
    """Run the command `fcn`."""
    listing = '\n'.join(f'  fcn {name:<9} {about}' for name, about in COMMANDS.items())
    parser = Parser(
        'Fully convolutional networks for semantic segmentation, on Caffe.\n\n'
        f'{listing}\n\nfcn COMMAND --help says more.',
        prog='fcn',
        usage='fcn [--version] COMMAND …',
    )
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help=', '.join(COMMANDS))
    if len(sys.argv) < 2:
        parser.print_help(sys.stderr)
        sys.exit(2)
    name = parser.parse_args(sys.argv[1:2]).command
    sys.argv[:2] = [f'fcn {name}']
    run_command(name)


def run_command(name: str) -> NoReturn:
    """Run the command `name` of fcn.commands: without Caffe, that too is one line."""
    run(lambda: importlib.import_module(f'fcn.commands.{name}').main())
