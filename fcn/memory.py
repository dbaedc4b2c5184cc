"""How much memory there is, known before a library is asked to take it."""

from collections.abc import Iterator
from pathlib import Path

SHARE = 0.8  # of the free memory that is worth taking
_CGROUPS = Path('/sys/fs/cgroup')
_UNKNOWN = 2**31


def free_memory(device: str = 'cpu') -> int:
    """Return the bytes that can be allocated on a device, as engine.choose_device names it.

    On the CPU: without swapping, as Linux estimates them and as the control groups allow.
    """
    if device != 'cpu':
        # Only an engine for GPUs has it, and readers of data load no engine.
        from caffe import _cuda

        used, total = _cuda.memory()
        return total - used
    free = [_UNKNOWN]
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable'):
            free = [1024 * int(line.split()[1])]
    limits = [_left(folder) for folder in _own_cgroups()]
    return min(free + [left for left in limits if left is not None])


def _own_cgroups() -> Iterator[Path]:
    """Yield the folders of this process's control groups and of all above them, in the layouts of
    both versions."""
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
        parents = (parent for parent in folder.parents if parent.is_relative_to(top))
        yield from {top, folder, *parents}


def _left(folder: Path) -> int | None:
    """Return the bytes that a control group may still take, its page cache counted as free; None if
    it has no limit."""
    for limit, usage in (
        ('memory.max', 'memory.current'),
        ('memory.limit_in_bytes', 'memory.usage_in_bytes'),
    ):
        try:
            maximum, used = (int((folder / name).read_text()) for name in (limit, usage))
            lines = (folder / 'memory.stat').read_text().splitlines()
            stat = dict(line.split() for line in lines)
        except (OSError, ValueError):  # not there, or 'max'
            continue
        cache = sum(int(stat.get(f'{kind}_file', 0)) for kind in ('inactive', 'active'))
        return max(0, maximum - max(0, used - cache))
    return None
