"""Several processes that do one piece of work: MPI, by mpi4py.

    mpiexec -n 4 python solve.py …        or srun, or any other launcher of MPI's processes

`world()` returns the group of all processes that were started together, a group of one where there
was no launcher; then mpi4py is not even imported. FCN_MPI=0 in the environment makes each process
work alone.

All waiting is polite: it asks and sleeps, and leaves the processor to those that compute. MPI's own
waiting spins.
"""

import contextlib
import faulthandler
import functools
import json
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from fcn import errors
from fcn.errors import FCNError, FCNErrors

T = TypeVar('T')

# What launchers tell each process of how many there are, and which it is: MPICH and Intel MPI, Open
# MPI, MVAPICH, and Slurm's srun, in whose batch scripts the last ones are not set.
_SIZES = 'PMI_SIZE', 'OMPI_COMM_WORLD_SIZE', 'MV2_COMM_WORLD_SIZE', 'SLURM_STEP_NUM_TASKS'
_RANKS = 'PMI_RANK', 'OMPI_COMM_WORLD_RANK', 'MV2_COMM_WORLD_RANK', 'SLURM_PROCID'
# Seconds after which a process that does not answer is given up, and with it all: a machine that
# lost its power says nothing. Rank 0 may count the pixels of a large set meanwhile.
PATIENCE = float(os.environ.get('FCN_MPI_PATIENCE', 3600))
START = 300  # seconds that MPI may take to connect all processes; some may never have started
PIECE = 1 << 26  # bytes of one broadcast: MPI counts in 32 bits
STOP = 1  # tag of the message that says that the work is to end

logger = logging.getLogger('fcn')


class Part(NamedTuple):
    """Part `number`, counted from 0, of `total` parts of the same work."""

    number: int
    total: int

    def of(self, items: Sequence[T]) -> list[T]:
        """Return every `total`-th of the items, from the `number`-th on."""
        return list(items[self.number :: self.total])

    def size(self, count: int) -> int:
        """Return how many of `count` items are this part's."""
        return len(range(self.number, count, self.total))

    def __str__(self) -> str:
        return f'{self.number + 1}/{self.total}'


WHOLE = Part(0, 1)


class Group:
    """The processes that do one piece of work. This one is a group of one: nobody to wait for.

    `rank` is the number of this process, from 0; `size` is how many there are, `node_size` how many
    of them are on this machine and `node_rank` the number of this one among them.
    """

    rank, size, node_rank, node_size, nodes = 0, 1, 0, 1, 1
    threaded = True  # whether another thread than the main one may call MPI

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def part(self) -> Part:
        """The part of a work that is this process's."""
        return Part(self.rank, self.size)

    def gather(self, value: T) -> list[T]:
        """Return the values that the processes give, in the order of ranks. They are JSON: of
        several processes, tuples come as lists."""
        return [value]

    def sum(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the sums of the processes' arrays of integers, by name."""
        return dict(arrays)

    def numbers(self, mine: np.ndarray) -> np.ndarray:
        """Return size×K numbers of the K that each process gives, float64."""
        return mine[np.newaxis]

    def from_first(self, function: Callable[[], T]) -> T:
        """Return what `function` returns in rank 0, where alone it is called: JSON, as `gather`."""
        return function()

    def together(self, function: Callable[[], T]) -> T:
        """Call a function in every process and return what it returns; where it raises an FCNError
        in one of them, all raise, and rank 0 tells it."""
        return function()

    def bytes_from_first(self, content: bytes | memoryview | None) -> np.ndarray:
        """Return the bytes that rank 0 gives, uint8."""
        assert content is not None
        return np.frombuffer(content, np.uint8)

    def copy_arrays(self, arrays: Sequence[np.ndarray]) -> None:
        """Put the contents of rank 0's contiguous arrays into those of all."""

    def tell_stop(self) -> None:
        """Tell the other processes that the work is to end; they hear it by `hears_stop`."""

    def hears_stop(self) -> bool:
        """Return whether another process has told that the work is to end."""
        return False

    def forget_stop(self) -> None:
        """Take no more notice of what was told until now. All processes call it together."""


ALONE = Group()


class MPIGroup(Group):
    """The processes of an MPI communicator."""

    def __init__(self, communicator: Any) -> None:
        from mpi4py import MPI

        self.mpi = MPI
        # Of its own: messages of a user's program on the same processes never meet ours.
        self.communicator = communicator.Dup()
        self._notices = communicator.Dup()
        self._told = False
        self.rank, self.size = communicator.rank, communicator.size
        self.threaded = MPI.Query_thread() >= MPI.THREAD_SERIALIZED
        node = communicator.Split_type(MPI.COMM_TYPE_SHARED)
        self.node_rank, self.node_size = node.rank, node.size
        node.Free()
        self.nodes = sum(rank == 0 for rank in self.gather(self.node_rank))

    def wait(self, *requests: Any) -> None:
        """Wait until the requests are done, and leave the processor to others meanwhile.

        Raises FCNError if the others do not answer.
        """
        pause, pending, began = 2e-5, list(requests), time.monotonic()
        while pending := [request for request in pending if not request.Test()]:
            time.sleep(pause)
            pause = min(1.2 * pause, 2e-3)
            if time.monotonic() - began > PATIENCE:
                raise no_answer()

    def gather(self, value: T) -> list[T]:
        mine = np.frombuffer(json.dumps(value).encode(), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.wait(self.communicator.Iallgather(np.array([len(mine)], np.int64), sizes))
        all_bytes = np.empty(sizes.sum(), np.uint8)
        places = np.cumsum(sizes) - sizes
        received = [all_bytes, (sizes.tolist(), places.tolist()), self.mpi.BYTE]
        self.wait(self.communicator.Iallgatherv(mine, received))
        parts = np.split(all_bytes, places[1:])
        return [json.loads(part.tobytes()) for part in parts]

    def sum(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        sums = {name: np.empty_like(array) for name, array in arrays.items()}
        for name, array in arrays.items():
            assert np.issubdtype(array.dtype, np.integer)  # of floats, the order would matter
            contiguous = np.ascontiguousarray(array)
            self.wait(self.communicator.Iallreduce(contiguous, sums[name], self.mpi.SUM))
        return sums

    def numbers(self, mine: np.ndarray) -> np.ndarray:
        received = np.empty((self.size, len(mine)))
        self.wait(self.communicator.Iallgather(np.ascontiguousarray(mine, np.float64), received))
        return received

    def from_first(self, function: Callable[[], T]) -> T:
        result: T | None = None
        if self.first:
            result = self._unless_raised(function)
        else:
            self._unless_raised(None)
        content = json.dumps(result).encode() if self.first else None
        return json.loads(self.bytes_from_first(content).tobytes())

    def together(self, function: Callable[[], T]) -> T:
        return self._unless_raised(function)  # type: ignore[return-value]

    def _unless_raised(self, function: Callable[[], T] | None) -> T | None:
        """Return what a function returns; raise in all processes if one of them raises."""
        result, error = None, None
        try:
            result = function() if function else None
        except (FCNError, OSError) as caught:
            error = caught
        self.agree(error)
        return result

    def agree(self, error: Exception | None) -> None:
        """Raise, in all processes, what one of them gives, or nothing: the first one's by rank.

        It is of the same kind, and marked as agreed: rank 0 alone tells the user.
        """
        mine: list[Any] = [str(error) if error else None, socket.gethostname(), _kind(error)]
        for rank, (message, host, kind) in enumerate(self.gather(mine)):
            if message is None:
                continue
            if rank and (error is None or message != str(error)):
                where = f'rank {rank} on {host}' if self.nodes > 1 else f'rank {rank}'
                message = f'{where}: {message}'
            raised = getattr(errors, kind)(message)
            raised.agreed = True
            raise raised from error

    def bytes_from_first(self, content: bytes | memoryview | None) -> np.ndarray:
        size = np.array([len(content) if content is not None else 0], np.int64)
        self.wait(self.communicator.Ibcast(size))
        if content is None:
            array = np.empty(size[0], np.uint8)
        else:
            array = np.frombuffer(content, np.uint8)
        self.copy_arrays([array])
        return array

    def copy_arrays(self, arrays: Sequence[np.ndarray]) -> None:
        for array in arrays:
            flat = array.reshape(-1).view(np.uint8)
            assert np.shares_memory(flat, array) or not array.size  # contiguous
            for start in range(0, len(flat), PIECE):
                piece = flat[start : start + PIECE]
                self.wait(self.communicator.Ibcast([piece, self.mpi.BYTE]))

    def tell_stop(self) -> None:
        if self._told:
            return
        self._told = True
        nothing = np.empty(0, np.uint8)
        for rank in range(self.size):
            if rank != self.rank:
                self._notices.Isend([nothing, self.mpi.BYTE], rank, STOP).Free()

    def hears_stop(self) -> bool:
        return bool(self._notices.Iprobe(self.mpi.ANY_SOURCE, STOP))

    def forget_stop(self) -> None:
        # After this exchange, each knows how many notices there are to take.
        told = [rank for rank, told in enumerate(self.gather(self._told)) if told]
        for rank in told:
            if rank != self.rank:
                nothing = np.empty(0, np.uint8)
                self.wait(self._notices.Irecv([nothing, self.mpi.BYTE], rank, STOP))
        self._told = False


def no_answer() -> FCNError:
    """Return the error of a process that waited for others in vain."""
    return FCNError(
        f'another process has not answered for {PATIENCE:.0f} s, so all end; see to its machine, '
        'or set FCN_MPI_PATIENCE to more seconds, and start again'
    )


def _kind(error: Exception | None) -> str:
    """Return the name of an error's class as it is told to other processes."""
    known = isinstance(error, FCNError) and not isinstance(error, FCNErrors)
    name = type(error).__name__
    return name if known and hasattr(errors, name) else FCNError.__name__


def launched() -> tuple[int, int]:
    """Return (rank, size) of this process as its launcher tells them, (0, 1) if there is none."""
    if os.environ.get('FCN_MPI') == '0':
        return 0, 1
    for rank, size in zip(_RANKS, _SIZES, strict=True):
        with contextlib.suppress(KeyError, ValueError):
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


@functools.cache
def world() -> Group:
    """Return the group of all processes that a launcher started together, as mpiexec does.

    Raises FCNError if they cannot be connected: mpi4py is missing, or is of another MPI than the
    launcher.
    """
    _, size = launched()
    if size == 1:
        return ALONE
    fix = "`pip install '.[mpi]'` in a clone brings one, with an mpiexec of its own"
    # Python's own threads would not run while MPI starts.
    faulthandler.dump_traceback_later(START, exit=True)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise FCNError(
            f'{size} processes were started together, but there is no MPI in this Python '
            f'({error}); {fix}, or set FCN_MPI=0 to let each work alone'
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    if MPI.COMM_WORLD.size != size:
        library = MPI.Get_library_version().split('\n')[0].strip('\0 ')
        raise FCNError(
            f'{size} processes were started together, but {library} of this Python connects '
            f'{MPI.COMM_WORLD.size}: the launcher is that of another MPI; start them by '
            f"{sys.prefix}/bin/mpiexec, or build mpi4py for the launcher's MPI (docs/cluster.md)"
        )
    _abort_on_uncaught()
    group = MPIGroup(MPI.COMM_WORLD)
    _take_threads(group)
    if not group.first:
        logger.setLevel(logging.ERROR)  # Rank 0 says it.
    return group


def connected() -> bool:
    """Return whether this process is one of several that are connected."""
    return world.cache_info().currsize > 0 and world().size > 1


def abort(status: int) -> NoReturn:
    """End all processes of the world now."""
    from mpi4py import MPI

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    MPI.COMM_WORLD.Abort(status)
    os._exit(status)


def _abort_on_uncaught() -> None:
    """Let an exception that nobody catches end all processes: the others would wait for this one
    forever."""

    def end(
        kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> None:
        traceback.print_exception(kind, error, trace)
        abort(1)

    sys.excepthook = end
    threading.excepthook = lambda of: end(of.exc_type, of.exc_value, of.exc_traceback)


def _take_threads(group: Group) -> None:
    """Let this process compute with its share of its machine's processors, unless its environment
    or its program has said with how many threads.

    The processes of a machine share the processors that they may run on; a launcher may have bound
    each to some of its own.
    """
    from caffe._fcn import granted_threads

    from fcn.engine import set_threads, threads

    host, mine, granted = socket.gethostname(), os.sched_getaffinity(0), granted_threads()
    told = group.gather((host, sorted(mine)))
    if 'OMP_NUM_THREADS' in os.environ or threads() != granted:
        return
    others = [set(cpus) for name, cpus in told if name == host]
    share = sum(1 / sum(cpu in cpus for cpus in others) for cpu in mine)
    sharing = sum(bool(mine & cpus) for cpus in others)
    set_threads(max(1, min(int(share + 1e-6), granted // sharing)))
