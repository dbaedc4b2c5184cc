"""Brings a stream to the disk, for a writer that must not see the disk fail.

    python sink.py FILE < stream

Caffe ends its process when a snapshot cannot be written, and does not notice at all when
the last few kilobytes cannot. It writes to a pipe instead; whatever happens to the
file, the pipe is read to its end. Prints a JSON object: the bytes and sha256 of what
came, and the error, if any.
"""

import hashlib
import json
import os
import signal
import sys

PIECE = 1 << 20


def main(path):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # They are for the parent, who finishes the snapshot first.
    digest, size, error = hashlib.sha256(), 0, None
    try:
        # Unbuffered: nothing is left to be written when it is closed.
        with open(path, 'xb', buffering=0) as file:
            while piece := sys.stdin.buffer.read(PIECE):
                digest.update(piece)
                size += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
    except OSError as failure:
        error = failure.strerror
        while sys.stdin.buffer.read(PIECE):
            pass
    print(json.dumps({'bytes': size, 'sha256': digest.hexdigest(), 'error': error}))


if __name__ == '__main__':
    main(sys.argv[1])
