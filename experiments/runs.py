"""What run folders hold that an experiment may use as it is."""

import os
from pathlib import Path

from fcn.solvers.log import Log
from fcn.solvers.snapshot import STATE, WEIGHTS


def ended(run):
    """Whether a run has come to the end that it was asked for: the last thing it did was to validate."""
    records = run.log.read()
    return bool(
        run.iteration
        and records
        and 'validation' in records[-1]
        and records[-1]['iteration'] == run.iteration
    )


def unlike(run, settings):
    """The names of the settings that a run was made with otherwise."""
    old = run.snapshots.newest(WEIGHTS, STATE)['settings']
    return [key for key in settings if old.get(key) != settings[key]]


class Published:
    """Stands for the run of a net whose weights are used as they were published."""

    iteration = None
    log = Log(Path(os.devnull))

    def __init__(self, file):
        self.folder = file

    def weights(self):
        return self.folder

