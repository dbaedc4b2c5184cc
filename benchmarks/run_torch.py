"""PyTorch's side, in a process of its own:
python -m benchmarks.run_torch FOLDER {forward,train,output} TIMES {nchw,channels_last,bf16}

Reads the layers of a Caffe net from plan.json, and builds the same of PyTorch's own.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .clock import measure


def pair(param, name, default):
    """A kernel's, stride's or padding's height and width, however Caffe's parameter gives them."""
    short = name.removesuffix('_size')
    if f'{short}_h' in param:
        return param[f'{short}_h'], param[f'{short}_w']
    value = param.get(name, default)
    value = value if isinstance(value, list) else [value]
    return value[0], value[-1]


def convolution(param, weight):
    """An empty nn.Conv2d or nn.ConvTranspose2d's options from Caffe's."""
    return dict(
        kernel_size=tuple(weight.shape[2:]),
        stride=pair(param, 'stride', 1),
        padding=pair(param, 'pad', 0),
        dilation=pair(param, 'dilation', 1),
        groups=param.get('group', 1),
        bias=param.get('bias_term', True),
    )


class CaffeNet(nn.Module):
    """A net of the layers in `plan`, with weights from an open npz file."""

    def __init__(self, plan, weights):
        super().__init__()
        self.plan = plan
        self.made = nn.ModuleDict()
        for layer in plan:
            if layer['type'] in ('Convolution', 'Deconvolution'):
                self.made[layer['name']] = self.filters(layer, weights)
        # What no later layer reads is freed as soon as it has been read.
        self.last = {
            name: index for index, layer in enumerate(plan) for name in layer.get('bottom', ())
        }

    @staticmethod
    def filters(layer, weights):
        param, weight = layer['convolution_param'], weights[f'{layer["name"]}:0']
        options = convolution(param, weight)
        outputs, inputs = weight.shape[0], weight.shape[1] * options['groups']
        if layer['type'] == 'Convolution':
            made = nn.Conv2d(inputs, outputs, **options)
        else:
            made = nn.ConvTranspose2d(outputs, inputs, **options)
        made.weight.data = torch.from_numpy(weight)
        if made.bias is not None:
            made.bias.data = torch.from_numpy(weights[f'{layer["name"]}:1'])
        if layer.get('param', [{}])[0].get('lr_mult') == 0:
            made.requires_grad_(False)
        return made

    def forward(self, data):
        blobs = {'data': data}
        for index, layer in enumerate(self.plan):
            if layer['type'] == 'Input':
                continue
            bottoms = [blobs[name] for name in layer['bottom']]
            for name in layer['bottom']:
                if self.last[name] == index:
                    del blobs[name]
            first = bottoms.pop(0)
            blobs[layer['top'][0]] = self.compute(layer, first, bottoms)
            del first, bottoms
        return blobs['score']

    def compute(self, layer, x, others):
        kind = layer['type']
        if kind in ('Convolution', 'Deconvolution'):
            return self.made[layer['name']](x)
        if kind == 'ReLU':
            return F.relu(x, inplace=True)
        if kind == 'Pooling':
            param = layer['pooling_param']
            return F.max_pool2d(
                x, param['kernel_size'], param['stride'], param.get('pad', 0), ceil_mode=True
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


def main(folder, what, times, form):
    layout = torch.channels_last if form != 'nchw' else torch.contiguous_format
    with np.load(folder / 'weights.npz') as weights:
        net = CaffeNet(json.loads((folder / 'plan.json').read_text()), weights)
    net = net.to(memory_format=layout)
    data = torch.from_numpy(np.load(folder / 'data.npy')).to(memory_format=layout)
    if form == 'bf16':
        net, data = net.to(torch.bfloat16), data.to(torch.bfloat16)
    if what == 'train':
        learn(net, data, times)
        return
    net.eval()
    with torch.inference_mode():
        if what == 'output':
            np.save(folder / f'torch-{form}.npy', net(data).float().numpy())
        else:
            measure(lambda: net(data), times)


def learn(net, data, times):
    """Measure iterations of forward, backward and update, as Caffe's solver makes them."""
    label = torch.full((1, *data.shape[2:]), 3)
    learned = [param for param in net.parameters() if param.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-14, momentum=0.99, weight_decay=0.0005)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(data), label, ignore_index=255, reduction='sum').backward()
        optimizer.step()

    measure(step, times)


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
