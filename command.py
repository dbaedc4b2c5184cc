"""What the commands share: options, and how a user's mistake ends one."""

import sys
from pathlib import Path

from errors import UserError


def run(main):
    """Call `main` and exit with what it returns, with 2 and one line if the user must mend
    something, or with 130 on Ctrl-C."""
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    except (UserError, OSError) as error:
        program = Path(sys.argv[0])
        print(f'{program.name if program.stem != "__main__" else program.parent.name}: {error}', file=sys.stderr)
        status = 2
    sys.exit(status)


def add_net_options(parser, weights, several=False):
    """Add --weights, described by `weights`, --gpu and --runs to an argparse parser."""
    parser.add_argument('--weights', metavar='FILE', help=weights, action='append' if several else 'store')
    parser.add_argument('--gpu', type=int, metavar='ID',
                        help='device; −1 is the CPU (default: the first GPU if the engine has CUDA, else the CPU)')
    parser.add_argument('--runs', type=Path, default=Path('runs'), metavar='DIR',
                        help='where run folders lie (default: runs)')
