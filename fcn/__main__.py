"""`python -m fcn`, the same as the command `fcn`."""

from fcn.cli import main

main()
