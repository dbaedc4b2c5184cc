"""Data sets and weights onto the disk, from their owners' places or from archives at hand.

`sets.SETS` is one table: what a set is fetched from and what the archives lack. `fetch`
downloads, `unpack` takes out of an archive the files that a set's layers read, `arrange`
computes the lists and checks that every example is there, and `make` does all of it in a
folder beside the set's own, which is renamed when it is whole.
"""

from .fetch import DigestError, FetchError, fetch
from .make import lock, make
from .sets import SETS
from .unpack import unpack

__all__ = ['SETS', 'DigestError', 'FetchError', 'fetch', 'lock', 'make', 'unpack']
