"""Runs PyTorch in a process of its own.

    python -m benchmarks.run_torch FOLDER {forward,train} TIMES OUT FORM

FORM is nchw, channels_last, compiled (torch.compile) or bf16; the scores go to FOLDER/OUT.
Reads the layers of a Caffe net as benchmarks.material writes them, and builds the same net from
PyTorch's own layers.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .clock import hand_in, measure

Layer = Mapping[str, Any]


class CaffeNet(nn.Module):
    """A net of `layers`, with weights from an open NPZ file. It returns its scores, N×C×H×W."""

    def __init__(self, layers: Sequence[Layer], weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.layers = [
            layer for layer in layers if layer['type'] not in ('Input', 'SoftmaxWithLoss')
        ]
        self.filters = nn.ModuleDict()
        for layer in self.layers:
            if layer['type'] in ('Convolution', 'Deconvolution'):
                self.filters[layer['name']] = filters(layer, weights)
        # What no later layer reads is freed as soon as it has been read.
        self.last_reader = {
            name: index for index, layer in enumerate(self.layers) for name in layer['bottom']
        }

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        blobs = {'data': data}
        for index, layer in enumerate(self.layers):
            bottoms = [blobs[name] for name in layer['bottom']]
            for name in layer['bottom']:
                if self.last_reader[name] == index:
                    del blobs[name]
            first = bottoms.pop(0)
            blobs[layer['top'][0]] = self.compute(layer, first, bottoms)
            del first, bottoms
        return blobs['score']

    def compute(self, layer: Layer, x: torch.Tensor, others: list[torch.Tensor]) -> torch.Tensor:
        kind, window = layer['type'], layer['window']
        if kind in ('Convolution', 'Deconvolution'):
            return self.filters[layer['name']](x)
        if kind == 'ReLU':
            return F.relu(x, inplace=True)
        if kind == 'Pooling':
            return F.max_pool2d(
                x, window['kernel'], window['stride'], window['pad'], ceil_mode=True
            )
        if kind == 'LRN':
            param = layer['lrn_param']
            return F.local_response_norm(
                x, param['local_size'], param['alpha'], param['beta'], param.get('k', 1)
            )
        if kind == 'Dropout':
            return F.dropout(x, layer['dropout_param']['dropout_ratio'], self.training)
        if kind == 'Concat':
            return torch.cat([x, *others], 1)
        if kind == 'Eltwise':
            return x + others[0]
        if kind == 'Crop':
            offset, (height, width) = layer['crop_param']['offset'][0], others[0].shape[2:]
            return x[:, :, offset : offset + height, offset : offset + width]
        raise ValueError(f'{layer["name"]}: this benchmark has no layer {kind}')


def filters(layer: Layer, weights: Mapping[str, np.ndarray]) -> nn.Module:
    """Return the convolution or deconvolution of a layer, with its weights."""
    param, window = layer['convolution_param'], layer['window']
    weight, groups = weights[f'{layer["name"]}:0'], param.get('group', 1)
    outputs, inputs = weight.shape[0], weight.shape[1] * groups
    options: dict[str, Any] = dict(
        kernel_size=tuple(window['kernel']),
        stride=tuple(window['stride']),
        padding=tuple(window['pad']),
        dilation=tuple(window['dilation']),
        groups=groups,
        bias=param.get('bias_term', True),
    )
    result: nn.Conv2d | nn.ConvTranspose2d
    if layer['type'] == 'Convolution':
        result = nn.Conv2d(inputs, outputs, **options)
    else:
        result = nn.ConvTranspose2d(outputs, inputs, **options)
    result.weight.data = torch.from_numpy(weight)
    if result.bias is not None:
        result.bias.data = torch.from_numpy(weights[f'{layer["name"]}:1'])
    if layer.get('param', [{}])[0].get('lr_mult') == 0:
        result.requires_grad_(False)
    return result


def main(folder: Path, what: str, times: int, out: str, form: str) -> None:
    plain = form in ('nchw', 'compiled')
    layout = torch.contiguous_format if plain else torch.channels_last
    layers = json.loads((folder / f'{"train" if what == "train" else "deploy"}.json').read_text())
    with np.load(folder / 'weights.npz') as weights:
        net = CaffeNet(layers, weights)
    net = net.to(memory_format=layout)
    data = torch.from_numpy(np.load(folder / 'data.npy')).to(memory_format=layout)
    if form == 'bf16':
        net, data = net.to(torch.bfloat16), data.to(torch.bfloat16)
    if what == 'train':
        learn(net, data, times, form == 'compiled')
        return
    net.eval()
    with torch.inference_mode():
        computed = torch.compile(net) if form == 'compiled' else net
        result = measure(lambda: computed(data), times)
        hand_in(result, torch.__version__, computed(data).float().numpy(), folder / out)


def learn(net: CaffeNet, data: torch.Tensor, times: int, compiled: bool) -> None:
    """Measure iterations of forward, backward and update, as Caffe's solver makes them."""
    label = torch.full((1, *data.shape[2:]), 3)
    learned = [param for param in net.parameters() if param.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-14, momentum=0.99, weight_decay=0.0005)
    computed = torch.compile(net) if compiled else net
    scores = data

    def step() -> None:
        nonlocal scores
        optimizer.zero_grad()
        scores = computed(data)
        F.cross_entropy(scores, label, ignore_index=255, reduction='sum').backward()
        optimizer.step()

    hand_in(measure(step, times), torch.__version__, scores.detach().numpy())


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
