"""The nets of the paper, written in NetSpec.

A net is a trunk and a head (`table.NETS`) spelled in one vocabulary
(`vocabulary`). `python nets/NAME/net.py` writes its prototxts beside itself.
"""

import engine  # noqa: F401  (readies caffe for import)

from .table import NETS, Net, find
from .write import FOLDER, deploy_net, input_tops, labels_of, prototxts, score_tops, train_net, write_net

__all__ = ['FOLDER', 'NETS', 'Net', 'deploy_net', 'find', 'input_tops', 'labels_of', 'prototxts', 'score_tops',
           'train_net', 'write_net']
