"""What the commands share: options, and how a user's mistake ends one."""

import argparse
import contextlib
import importlib
import os
import signal
import sys
from pathlib import Path

import fcn
from fcn.errors import FCNError, FCNErrors
from fcn.text import printable, shortened

INT32 = 2**31 - 1  # the largest number of Caffe's solver files, and of its seeds' type less a bit


def run(main):
    """Call `main` and exit with what it returns, with 2 and one line if the user must mend
    something, or with 130 on Ctrl-C or SIGTERM."""
    for stream in (sys.stdout, sys.stderr):  # What a terminal cannot show must not end us.
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
    sys.stderr = _Words(sys.stderr)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # As Ctrl-C: what is half-written goes.
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    except (FCNError, OSError, MemoryError) as error:
        program = Path(sys.argv[0])
        name = program.name if program.stem != '__main__' else program.parent.name
        for line in error.lines if isinstance(error, FCNErrors) else [error]:
            words = (
                str(line)
                or 'there is not enough memory; end other programs, or take smaller images'
            )
            print(f'{name}: {shortened(printable(words))}', file=sys.stderr)
        status = 2
    sys.exit(status)


class _Words:
    """A stream of words about the work, which must not end the work: the terminal that reads them may be gone."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, words):
        with contextlib.suppress(OSError):
            return self._stream.write(words)

    def flush(self):
        with contextlib.suppress(OSError):
            self._stream.flush()


class Parser(argparse.ArgumentParser):
    """Reads a command's arguments. --help shows `description` as it stands; a mistake is one line and exit code 2."""

    def __init__(self, description=None, **options):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def parse_known_args(self, args=None, namespace=None):
        given = sys.argv[1:] if args is None else list(args)
        for option, value in zip(
            ['', *given], given, strict=False
        ):  # An empty one would mean a default.
            if value == '' or (value.startswith('--') and value.endswith('=')):
                where = f' for {option}' if option.startswith('--') else ''
                self.error(
                    f'an empty argument{where}, as of a shell variable that is not set; '
                    'give one or leave it out'
                )
        return super().parse_known_args(given, namespace)

    def error(self, message):
        self.exit(
            2, f'{self.prog}: {shortened(printable(message))}; --help says what may be given\n'
        )


def whole(least, most=INT32):
    """The type of an argparse argument that is a whole number from `least` to `most`."""

    def convert(text):
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f'{text[:40]} is not a whole number from {least} to {most}'
            )
        return value

    convert.__name__ = 'whole number'
    return convert


def number(fits, words):
    """The type of an argparse argument that is a number which `fits`, as `words` say."""

    def convert(text):
        value = float(text)
        if not fits(value):
            raise argparse.ArgumentTypeError(f'{text[:40]} is not {words}')
        return value

    convert.__name__ = 'number'
    return convert


positive = number(
    lambda value: 1e-37 < value < 1e38, 'between 1e-37 and 1e38'
)  # also in Caffe's single precision


def folder_for_caffe(text):
    """The Path of a folder whose name Caffe can be told."""
    try:
        os.path.realpath(text).encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(
            f'{printable(text)} is not named in UTF-8; name another folder'
        ) from error
    return Path(text)


def add_net_options(parser, weights, several=False):
    """Add --weights, described by `weights`, --gpu and --runs to an argparse parser."""
    parser.add_argument(
        '--weights', metavar='FILE', help=weights, action='append' if several else 'store'
    )
    parser.add_argument(
        '--gpu',
        type=whole(-1),
        metavar='ID',
        help='device; −1 is the CPU (default: the first GPU if the engine has CUDA, else the CPU)',
    )
    parser.add_argument(
        '--runs',
        type=folder_for_caffe,
        default='runs',
        metavar='DIR',
        help='where run folders lie (default: runs)',
    )


COMMANDS = {
    'solve': 'train nets, each stage from the last',
    'score': 'measure mean IU on a data set',
    'infer': 'segment images',
    'prepare': 'fetch data sets and weights',
    'net': "write a net's prototxts",
    'surgery': 'make starting weights; cast and rarefy nets',
    'convert': 'turn colour masks into label PNGs',
    'hha': 'encode depth images as HHA',
}


def main():
    """The command `fcn`."""
    listing = '\n'.join(f'  fcn {name:<9} {about}' for name, about in COMMANDS.items())
    parser = Parser(
        f'Fully convolutional networks on Caffe.\n\n{listing}\n\nfcn COMMAND --help says more.',
        prog='fcn',
    )
    parser.add_argument('--version', action='version', version=f'fcn {fcn.__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help=', '.join(COMMANDS))
    args = parser.parse_args(sys.argv[1:2])
    sys.argv[:2] = [f'fcn {args.command}']
    run(lambda: importlib.import_module(f'fcn.commands.{args.command}').main())
