"""Net surgery: an ILSVRC classifier's weights become an FCN's starting weights.

`cast` reshapes fully connected layers to convolutions, `transplant` copies by name,
`widen` gives filters a channel more, `interp` makes deconvolutions bilinear, and `start`
does all of it. `rarefy` removes subsampling and dilates what follows; `shift_and_stitch` is
what that is equal to. `python -m surgery` does it to files.
"""

import engine  # noqa: F401  (readies caffe for import)

from .caffemodel import WeightsError, read_weights, write_weights
from .cast import cast, cast_net, read_spec
from .fill import bilinear, gaussian, interp, widen
from .rarefy import RarefyError, rarefy, subsampling, until
from .stitch import inside, interlace, shift_and_stitch
from .transplant import Report, start, transplant, weights_and_stream
from .trial import load

__all__ = ['RarefyError', 'Report', 'WeightsError', 'bilinear', 'cast', 'cast_net', 'gaussian', 'inside', 'interlace',
           'interp', 'load', 'rarefy', 'read_spec', 'read_weights', 'save', 'shift_and_stitch', 'start', 'subsampling',
           'transplant', 'until', 'weights_and_stream', 'widen', 'write_weights']


def save(net, path):
    """Write the weights of caffe.Net `net` to a caffemodel."""
    write_weights(path, ((name, net.layer_dict[name].type, [blob.data for blob in blobs])
                         for name, blobs in net.params.items()))
