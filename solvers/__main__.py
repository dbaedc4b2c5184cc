"""Writes solvers/NET.prototxt for every net that is trained.

    python -m solvers
"""

from pathlib import Path

from files import write_text
from nets import NETS

from .recipes import solver_prototxt


def main():
    folder = Path(__file__).resolve().parent
    for name, row in NETS.items():
        if row.max_iter:
            write_text(folder / f'{name}.prototxt', solver_prototxt(name))
            print(folder / f'{name}.prototxt')


if __name__ == '__main__':
    main()
