"""Commands that misbehave, each in its own way, and some that do not, run as the fuzzer runs cases.

    python -m tests.robustness.planted FOLDER

Prints {name: what was found wrong} as JSON. It is a process of its own, since pytest's has threads.
"""

import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import NoReturn

from fcn.errors import FCNError
from tests.robustness import server
from tests.robustness.cases import Recipe


def refuse() -> NoReturn:
    raise FCNError('the file: the value; the fix')


def leave(name: str) -> NoReturn:
    Path(name).write_text('half')
    refuse()


def remove(name: str) -> NoReturn:
    Path(name).unlink()
    refuse()


def write(text: str, status: int = 0) -> int:
    sys.stderr.write(text)
    return status


def linger() -> NoReturn:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    refuse()


PLANTED = {
    'abort': os.abort,
    'traceback': lambda: [][0],
    'failed check': lambda: write('F1123 01:02:03.4 5 x.cpp:6] Check f'),
    'warning': lambda: warnings.warn('odd', stacklevel=1),
    'status': lambda: 3,
    'interrupt': lambda: 130,
    'silence': lambda: 2,
    'two lines': lambda: write('x.py: one\nx.py: two\n', 2),
    'message': lambda: write('oh\n'),
    'hang': lambda: time.sleep(60),
    'memory': lambda: bytearray(2 * server.MAX_MEMORY),
    'output': lambda: leave('out.png'),
    'partial': lambda: Path('.x.partial').touch(),
    'overwritten': lambda: leave('there.txt'),
    'removed': lambda: remove('there.txt'),
    'temporary': lambda: tempfile.mkstemp() and 0,
    'good': refuse,
    'progress': lambda: write('\rx:  50%|##  | 1/2 [00:00<00:00, 9.1it/s]\n'),
    'lingers': linger,
}


def main(root: str) -> None:
    server.become_subreaper()
    found = {}
    for name, plant in PLANTED.items():
        folder = Path(root, name, 'case')
        folder.mkdir(parents=True)
        Path(folder, 'there.txt').write_text('whole')
        outcome = server.run_case(Recipe('', '', plant, 'x.py', '', ''), folder, seconds=2)
        found[name] = outcome.wrong
    found['children'] = Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()
    print(json.dumps(found))


if __name__ == '__main__':
    main(sys.argv[1])
