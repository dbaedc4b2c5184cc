"""How much memory there is, known before a library is asked to take it."""

from pathlib import Path

SHARE = 0.8  # of the free memory that is worth taking
_CGROUPS = Path('/sys/fs/cgroup')
_UNKNOWN = 2**31


def free_memory(device='cpu'):
    """Bytes that can be allocated: without swapping, as Linux estimates them and the control groups allow, or on the
    GPU that Caffe computes on."""
    if device != 'cpu':
        from caffe import (
            _cuda,  # Only an engine for GPUs has it, and readers of data load no engine.
        )

        used, total = _cuda.memory()
        return total - used
    free = [_UNKNOWN]
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable'):
            free = [1024 * int(line.split()[1])]
    return min(free + [room for folder in _own_cgroups() if (room := _room(folder)) is not None])


def _own_cgroups():
    """The folders of this process's control groups and of all above them, in both versions' layouts."""
    try:
        lines = Path('/proc/self/cgroup').read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if controllers and 'memory' not in controllers.split(','):
            continue
        top = _CGROUPS / 'memory' if controllers else _CGROUPS
        folder = top / path.lstrip('/')
        yield from {
            top,
            folder,
            *(parent for parent in folder.parents if parent.is_relative_to(top)),
        }


def _room(folder):
    """Bytes that a control group may still take, its page cache counted as free; None if it has no limit."""
    for limit, used in (
        ('memory.max', 'memory.current'),
        ('memory.limit_in_bytes', 'memory.usage_in_bytes'),
    ):
        try:
            most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
            words = dict(line.split() for line in (folder / 'memory.stat').read_text().splitlines())
        except (OSError, ValueError):  # not there, or 'max'
            continue
        cache = sum(int(words.get(f'{kind}_file', 0)) for kind in ('inactive', 'active'))
        return max(0, most - max(0, taken - cache))
    return None
