"""From a row of the table to prototxts: the training, validation and deploy nets."""

from pathlib import Path

from caffe import NetSpec
from caffe import layers as L

from data_layers import DATASETS
from files import write_text

from .table import find
from .vocabulary import softmax_loss

FOLDER = Path(__file__).resolve().parent


def train_net(row, source):
    """NetSpec of a row that learns from `source`, a data_layers.Source."""
    n = NetSpec()
    n.data, n.label = L.Python(
        module='data_layers.layers', layer=source.layer, param_str=source.param_str(), ntop=2)
    scores = _scores(n, row)
    n.loss = softmax_loss(scores, n.label, normalize=row.trunk.normalize)
    return n


def deploy_net(row):
    """NetSpec of a row that takes N×3×H×W images and ends in scores."""
    n = NetSpec()
    side = 500 if row.head else row.trunk.input_size
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, side, side])))
    scores = _scores(n, row)
    if not row.head:
        n.prob = L.Softmax(scores)
    return n


def _scores(n, row):
    classes = len(DATASETS[row.data].classes)
    if row.head is None:
        return row.trunk.classifier(n, n.data, classes)
    row.trunk.trunk(n, n.data)
    row.head(n, row.trunk, classes)
    return n.score


def prototxts(name):
    """The files of net `name`, as {file name: text}.

    The training and validation nets are named by their splits' roles in the
    field: train and val. A net that is fetched and never trained has only deploy.
    """
    row = find(name)
    dataset = DATASETS[row.data]
    specs = {'deploy': deploy_net(row)}
    if row.max_iter:
        specs |= {'train': train_net(row, dataset.train), 'val': train_net(row, dataset.val)}
    return {f'{phase}.prototxt': f'name: "{name}"\n{spec.to_proto()}' for phase, spec in specs.items()}


def write_net(script):
    """Write the prototxts of the net whose folder holds `script` beside it, each at once or not at all."""
    folder = Path(script).resolve().parent
    for file, text in prototxts(folder.name).items():
        write_text(folder / file, text)
        print(folder / file)
