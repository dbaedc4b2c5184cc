"""Brings a stream to the disk, for a writer that cannot cope with a disk that fails.

    python durable_writer.py FILE < stream

Caffe ends its process when a snapshot cannot be written, and does not notice at all when the last
few kilobytes cannot. So it writes to a pipe instead: whatever happens to the file, the pipe is read
to its end. Prints a JSON object: the bytes and the sha256 of the stream, and the error, if any.
"""

import hashlib
import json
import os
import signal
import sys

CHUNK = 1 << 20


def main(path: str) -> None:
    # Signals are for the parent, who finishes the snapshot first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    digest, size, error = hashlib.sha256(), 0, None
    try:
        # Unbuffered: nothing is left to be written when it is closed.
        with open(path, 'xb', buffering=0) as file:
            while chunk := sys.stdin.buffer.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
    except OSError as failure:
        error = failure.strerror
        while sys.stdin.buffer.read(CHUNK):
            pass
    print(json.dumps({'bytes': size, 'sha256': digest.hexdigest(), 'error': error}))


if __name__ == '__main__':
    main(sys.argv[1])
