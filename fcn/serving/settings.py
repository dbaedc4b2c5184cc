"""What the server is told, and its limits."""

from dataclasses import dataclass
from pathlib import Path

MAX_NETS = 3  # that one image is segmented by, to compare them
MAX_STRIP = 6  # pictures of one image in a film strip
MAX_UPLOADS = 64  # bodies that are read at the same time
KEPT = 256  # results, and
KEPT_BYTES = 1 << 30  # bytes of results, of which the oldest make room
MAX_PROBABILITIES = 300_000_000  # classes × pixels, one byte each
LARGEST_ENGINE = (
    3 << 30
)  # bytes that the engine may keep for the next image; beyond, it begins anew
ABANDONED = 60.0  # seconds after which nobody waits for a job any more
POLL = 15.0  # seconds that a request for news of a job is held


@dataclass(frozen=True)
class Settings:
    """What the server is told on its command line.

    `folders` hold runs, `files` are (net, caffemodel) pairs. `queue` is how many images may wait,
    `upload_seconds` how long a body may take, `job_seconds` how long an image may be computed.
    `names` are the host names to answer to besides addresses and localhost. `examples` is a folder
    of pictures to offer.
    """

    folders: tuple[Path, ...] = (Path('runs'),)
    files: tuple[tuple[str, Path], ...] = ()
    host: str = '127.0.0.1'
    port: int = 8000
    token: str | None = None
    names: tuple[str, ...] = ()
    gpu: int | None = None
    threads: int | None = None
    queue: int = 32
    max_bytes: int = 32 << 20
    max_pixels: int = 32_000_000
    upload_seconds: float = 30.0
    job_seconds: float = 300.0
    examples: Path | None = None
