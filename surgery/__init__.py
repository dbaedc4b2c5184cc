"""Net surgery: an ILSVRC classifier's weights become an FCN's starting weights.

`cast` reshapes fully connected layers to convolutions, `transplant` copies by name,
`expand_input_channels` gives filters one more channel, `interp` makes deconvolutions bilinear, and
`start` does all of it. `rarefy` removes subsampling and dilates what follows; `shift_and_stitch`
computes the same in many runs. `import_torch` takes a classifier's weights out of PyTorch. `fcn
surgery` does it to files.
"""

from fcn import engine  # noqa: F401  (prepares caffe for import)
from fcn.surgery.caffemodel import read_weights, save, write_weights
from fcn.surgery.cast import cast, convolutionalize, read_spec
from fcn.surgery.initializers import bilinear, expand_input_channels, gaussian, interp
from fcn.surgery.rarefy import rarefy, subsampling, until
from fcn.surgery.sandbox import load
from fcn.surgery.stitch import inside, interlace, shift_and_stitch
from fcn.surgery.torch_weights import Import, import_torch
from fcn.surgery.transplant import Report, start, transplant, weights_and_stream

__all__ = [
    'Import',
    'Report',
    'bilinear',
    'cast',
    'convolutionalize',
    'expand_input_channels',
    'gaussian',
    'import_torch',
    'inside',
    'interlace',
    'interp',
    'load',
    'rarefy',
    'read_spec',
    'read_weights',
    'save',
    'shift_and_stitch',
    'start',
    'subsampling',
    'transplant',
    'until',
    'weights_and_stream',
    'write_weights',
]
