"""The nets of the paper, written in NetSpec.

`table` lists them all: each row names a backbone, a head, a data set and a recipe. The head is
spelled in a net.py, layer by layer: nets/voc-fcn8s/net.py is FCN-8s.
"""

from fcn import engine  # noqa: F401  (prepares caffe for import)
from fcn.nets.config import NetConfig
from fcn.nets.prototxt import deploy_net, last_stride, train_net, train_net_with_inputs
from fcn.nets.table import NETS, find

__all__ = [
    'NETS',
    'NetConfig',
    'deploy_net',
    'find',
    'last_stride',
    'train_net',
    'train_net_with_inputs',
]
