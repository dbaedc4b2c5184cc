"""Brings data sets and weights onto the disk, from their owners' servers or from archives at hand.

`archives.ARCHIVES` says what each set is fetched from and what its archives lack. `fetch`
downloads, `unpack` takes the files that a set's layers read out of an archive, `arrange` computes
the lists and checks that every example is there, and `make` does all of it in a folder next to the
set's own, which gets its name when it is complete.
"""

from fcn.preparation.archives import ARCHIVES
from fcn.preparation.fetch import DigestError, FetchError, fetch
from fcn.preparation.make import make
from fcn.preparation.unpack import unpack

__all__ = ['ARCHIVES', 'DigestError', 'FetchError', 'fetch', 'make', 'unpack']
