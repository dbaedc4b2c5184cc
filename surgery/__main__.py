"""Net surgery on files: `python -m surgery`, the same as `fcn surgery`."""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('surgery')
