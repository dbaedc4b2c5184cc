"""Folders that are held by one process at a time, and folders that cannot be made."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from fcn.errors import FCNError, RunError
from fcn.io import lock_folder, make_folder

HOLD = """
import sys
from pathlib import Path
from fcn.io import lock_folder
with lock_folder(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""
# Many short turns: whoever holds the folder is alone in it, also while others remove the file.
TAKE_TURNS = """
import sys
from pathlib import Path
from fcn.errors import FCNError
from fcn.io import lock_folder
folder, turns = Path(sys.argv[1]), 0
while turns < 300:
    try:
        with lock_folder(folder):
            (folder / 'alone').open('x').close()
            (folder / 'alone').unlink()
            turns += 1
    except FCNError:
        pass
"""


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-c', script, folder],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_folder_is_held_by_one_process_and_free_after_its_end(tmp_path):
    folder = tmp_path / 'a' / 'b'
    with start(HOLD, folder) as holder:
        assert holder.stdout.readline() == 'held\n'
        with pytest.raises(FCNError, match=f'{folder}: .*wait'), lock_folder(folder):
            pytest.fail('two hold it')
        taken = lock_folder(folder, 'take another', RunError)
        with pytest.raises(RunError, match='; take another'), taken:
            pytest.fail('two hold it')
        os.kill(holder.pid, signal.SIGKILL)
    with lock_folder(folder), pytest.raises(FCNError), lock_folder(folder):
        pytest.fail('two hold it')
    assert not list(folder.iterdir())


def test_processes_that_take_turns_never_meet(tmp_path):
    processes = [start(TAKE_TURNS, tmp_path) for _ in range(3)]
    for process in processes:
        assert process.communicate() == ('', '') and process.returncode == 0
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folder(Path('out/deep'))
    make_folder(Path('out/deep'))
    assert (tmp_path / 'out' / 'deep').is_dir()
    (tmp_path / 'file').touch()
    for name in ('file', 'file/out'):
        with pytest.raises(FCNError, match=f'{tmp_path}/{name}: .*name another folder'):
            make_folder(Path(name))
