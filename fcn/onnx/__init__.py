"""Nets of Caffe as files of ONNX, which run elsewhere: exact, for images of any size, and checked.

`export` writes a file. `net` turns a net into a graph, layer by layer (`layers`, `elementwise`,
`shapes`), `ends` adds preprocessing and labels, and `check` compares the file with Caffe in ONNX
Runtime.
"""

from fcn import engine  # noqa: F401  (prepares caffe for import)
from fcn.errors import FCNError

try:
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
except ImportError as error:
    raise FCNError(
        f'ONNX is not installed here ({error}); install it with `pip install onnx onnxruntime`'
    ) from error

from .check import Agreement
from .draft import OPSET
from .files import Exported, export

__all__ = ['OPSET', 'Agreement', 'Exported', 'export']
