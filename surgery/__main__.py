"""Net surgery on files: `python -m surgery`, the same as `fcn surgery`."""

from fcn.cli import run
from fcn.commands.surgery import main

if __name__ == '__main__':
    run(main)
