"""torchvision's and Hugging Face's classifiers compute in Caffe what they do in PyTorch."""

import json
import struct
from itertools import pairwise

import numpy as np
import pytest
from torch_pickles import tensors_of, zipped

from fcn.commands import surgery as main
from fcn.engine import caffe, net_of
from fcn.errors import RunError, WeightsError
from fcn.inference import feed
from fcn.nets import deploy_net, find
from fcn.solvers.weights import starting_weights
from fcn.surgery import import_torch, read_weights, transplant
from fcn.surgery.torch_weights import LAYOUTS, for_caffes_images, own_mean

GOOGLENET = LAYOUTS[-1]


def save_safetensors(path, arrays):
    """Write float32 arrays as .safetensors."""
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    sizes = [array.nbytes for array in arrays.values()]
    offsets = pairwise(np.cumsum([0, *sizes]).tolist())
    header = {
        name: {'dtype': 'F32', 'shape': array.shape, 'data_offsets': between}
        for (name, array), between in zip(arrays.items(), offsets, strict=True)
    }
    text = json.dumps(header).encode()
    with path.open('wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())


def googlenet(seed=0, classes=1000):
    """Return random tensors with the names and shapes of torchvision's GoogLeNet."""
    rng = np.random.default_rng(seed)
    net = net_of(deploy_net(find('ilsvrc-googlenet-torch')))
    tensors = {}
    for layer, (name, norm) in GOOGLENET.layers.items():
        shape = net.params[layer][0].data.shape
        if not norm:
            shape = (classes, *shape[1:])
            tensors[f'{name}.bias'] = rng.normal(0, 0.1, classes)
        tensors[f'{name}.weight'] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        if norm:
            channels = shape[0]
            tensors[f'{norm}.weight'] = rng.uniform(0.7, 1.3, channels)
            tensors[f'{norm}.bias'] = rng.normal(0, 0.1, channels)
            tensors[f'{norm}.running_mean'] = rng.normal(0, 0.3, channels)
            tensors[f'{norm}.running_var'] = rng.uniform(0.5, 2, channels)
            tensors[f'{norm}.num_batches_tracked'] = np.float32(3)
    tensors |= {'aux1.fc1.weight': np.ones((2, 2)), 'aux1.fc1.bias': np.ones(2)}
    return {name: np.asarray(array, np.float32) for name, array in tensors.items()}


def with_batch_norm(spec):
    """Return a net that normalises after each convolution, as PyTorch's does."""
    result = caffe.proto.caffe_pb2.NetParameter()
    for layer in spec.layer:
        result.layer.add().CopyFrom(layer)
        if layer.type == 'Convolution':
            result.layer[-1].convolution_param.bias_term = False
            del result.layer[-1].param[1:]
            top = layer.top[0]
            norm = result.layer.add(
                name=f'{layer.name}/bn', type='BatchNorm', bottom=[top], top=[top]
            )
            norm.batch_norm_param.eps = 1e-3
            scale = result.layer.add(name=f'{layer.name}/s', type='Scale', bottom=[top], top=[top])
            scale.scale_param.bias_term = True
    return result


def photo(seed=0):
    """Return an image of the classifiers' size, H×W×3 uint8 RGB: large patches under noise."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 200, (14, 14, 3)).repeat(16, 0).repeat(16, 1)
    return (patches + rng.integers(0, 56, patches.shape)).astype(np.uint8)


def logits(net, blob):
    feed(net, 'data', blob)
    net.forward()
    (softmax,) = (name for name, layer in net.layer_dict.items() if layer.type == 'Softmax')
    return net.blobs[net.bottom_names[softmax][0]].data[0].copy()


def bgr(image, mean):
    return image.transpose(2, 0, 1)[::-1] - np.array(mean, np.float32)[:, None, None]


def test_googlenet_computes_what_it_does_with_batch_normalisation(tmp_path, capsys):
    """Against the tensors as they are, in a net of Caffe that sees RGB and normalises."""
    tensors = googlenet()
    save_safetensors(tmp_path / 'g.safetensors', tensors)
    mean = ','.join(map(str, own_mean(GOOGLENET)))
    paths = [str(tmp_path / 'g.safetensors'), str(tmp_path / 'g.caffemodel')]
    main.main(['import', 'torch', *paths, '--mean', mean])
    printed = capsys.readouterr().out
    assert '57 convolutions' in printed and 'aux1.fc1.weight' in printed

    net = net_of(deploy_net(find('ilsvrc-googlenet-torch')))
    assert not transplant(net, tmp_path / 'g.caffemodel').missing
    other = net_of(with_batch_norm(deploy_net(find('ilsvrc-googlenet-torch')).to_proto()))
    for layer, (name, norm) in GOOGLENET.layers.items():
        weights, *bias = other.params[layer]
        weights.data[...] = tensors[f'{name}.weight']
        if not norm:
            bias[0].data[...] = tensors[f'{name}.bias']
            continue
        blobs = [*other.params[f'{layer}/bn'][:2], *other.params[f'{layer}/s']]
        for blob, kind in zip(
            blobs, ('running_mean', 'running_var', 'weight', 'bias'), strict=True
        ):
            blob.data[...] = tensors[f'{norm}.{kind}']
        other.params[f'{layer}/bn'][2].data[...] = 1
    image = photo()
    expected = logits(other, (image.transpose(2, 0, 1) / np.float32(255) - 0.5) / 0.5)
    found = logits(net, bgr(image, own_mean(GOOGLENET)))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_another_mean_changes_borders_alone(tmp_path):
    """Inside, conv1 computes the same of what Caffe's nets see as of what PyTorch's do."""
    rng = np.random.default_rng(0)
    weights, biases = rng.normal(0, 1, (4, 3, 3, 3)), rng.normal(0, 1, 4)
    rgb = rng.uniform(0, 255, (3, 9, 9))
    m, d = GOOGLENET.normalisation[0], LAYOUTS[0].normalisation[1]

    def convolve(image, weights, biases):
        patches = np.lib.stride_tricks.sliding_window_view(image, (3, 3), (1, 2))
        return np.einsum('cyxhw,kchw->kyx', patches, weights) + biases[:, None, None]

    expected = convolve(
        (rgb / 255 - np.array(m)[:, None, None]) / np.array(d)[:, None, None], weights, biases
    )
    mean = (104.0, 117.0, 123.0)
    caffes = for_caffes_images(weights, biases, (m, d), mean)
    found = convolve(rgb[::-1] - np.array(mean)[:, None, None], *caffes)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_heads_for_other_classes_are_left_out_and_wrappers_names_are_known(tmp_path, capsys):
    tensors = googlenet(classes=12)
    wrapped = {f'module.{name}': tensor for name, tensor in tensors.items()}
    (tmp_path / 'g.pth').write_bytes(zipped(*tensors_of(wrapped)))
    main.main(['import', 'torch', str(tmp_path / 'g.pth'), str(tmp_path / 'g.caffemodel')])
    assert 'left out: loss3/classifier' in capsys.readouterr().out
    names = [name for name, _ in read_weights(tmp_path / 'g.caffemodel')]
    assert names == [name for name in GOOGLENET.layers if name != 'loss3/classifier']


def test_the_fcn_of_an_imported_classifier_starts_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r'import torch FILE weights/ilsvrc-googlenet-torch\.'):
        starting_weights('voc-fcn-googlenet-torch', 'runs')
    save_safetensors(tmp_path / 'g.safetensors', googlenet())
    (tmp_path / 'weights').mkdir()
    import_torch('g.safetensors', 'weights/ilsvrc-googlenet-torch.caffemodel')
    ((file, stream),) = starting_weights('voc-fcn-googlenet-torch', 'runs')
    net = net_of(deploy_net(find('voc-fcn-googlenet-torch')))
    report = transplant(net, file, stream)
    assert report.missing == ['score_fr', 'upscore']


def test_what_is_of_no_known_net_is_refused_and_writes_nothing(tmp_path):
    small = {name: tensor for name, tensor in googlenet().items() if 'inception' not in name}
    wrong = googlenet() | {'conv2.conv.weight': np.ones((64, 64, 3, 3), np.float32)}
    broken = googlenet()
    broken['inception3a.branch1.conv.weight'][0] = np.nan
    for tensors, hint in (
        (small, 'VGG-16 of torchvision'),
        (wrong, r'conv2\.conv\.weight is \(64, 64, 3, 3\)'),
        (broken, 'not finite'),
    ):
        save_safetensors(tmp_path / 'g.safetensors', tensors)
        with pytest.raises(WeightsError, match=hint):
            import_torch(tmp_path / 'g.safetensors', tmp_path / 'g.caffemodel')
        assert not (tmp_path / 'g.caffemodel').exists()


def torch_vgg(torch, convs, batch_norm):
    """Return torchvision's VGG, as PyTorch's modules with torchvision's names."""
    nn, layers, channels = torch.nn, [], 3
    for count, width in zip(convs, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] * batch_norm
            layers.append(nn.ReLU())
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    relu, drop = nn.ReLU(), nn.Dropout()
    linear = [nn.Linear(25088, 4096), relu, drop, nn.Linear(4096, 4096), relu, drop]
    return named(torch, layers, [*linear, nn.Linear(4096, 1000)])


def torch_alexnet(torch):
    nn = torch.nn
    relu, drop, pool = nn.ReLU(), nn.Dropout(), nn.MaxPool2d(3, 2)
    features = [
        nn.Conv2d(3, 64, 11, 4, 2),
        relu,
        pool,
        nn.Conv2d(64, 192, 5, padding=2),
        relu,
        pool,
    ]
    features += [nn.Conv2d(192, 384, 3, padding=1), relu, nn.Conv2d(384, 256, 3, padding=1), relu]
    features += [nn.Conv2d(256, 256, 3, padding=1), relu, pool]
    linear = [drop, nn.Linear(9216, 4096), relu, drop, nn.Linear(4096, 4096), relu]
    return named(torch, features, [*linear, nn.Linear(4096, 1000)])


def named(torch, features, classifier):
    parts = {'features': features, 'classifier': classifier}
    net = torch.nn.Sequential()
    for name, layers in parts.items():
        if name == 'classifier':
            net.add_module('flatten', torch.nn.Flatten())
        net.add_module(name, torch.nn.Sequential(*layers))
    return net.eval()


TORCH = {
    'AlexNet of torchvision': torch_alexnet,
    'VGG-16 of torchvision': lambda torch: torch_vgg(torch, (2, 2, 3, 3, 3), False),
    'VGG-16 with batch normalisation of torchvision': lambda torch: torch_vgg(
        torch, (2, 2, 3, 3, 3), True
    ),
    'VGG-19 of torchvision': lambda torch: torch_vgg(torch, (2, 2, 4, 4, 4), False),
}
TIMM = {
    'classifier.0': 'pre_logits.fc1',
    'classifier.3': 'pre_logits.fc2',
    'classifier.6': 'head.fc',
}


@pytest.mark.slow
@pytest.mark.parametrize('name', TORCH)
@pytest.mark.parametrize('form', ['zip', 'legacy', 'timm'])
def test_pytorch_computes_the_same(tmp_path, name, form):
    """By torch.save's two formats, and by a .safetensors file with the names that timm gives."""
    torch = pytest.importorskip('torch')
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, file = TORCH[name](torch), tmp_path / ('m.safetensors' if form == 'timm' else 'm.pth')
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if tensor.ndim > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
            elif key.endswith(('running_var', 'weight')):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim:
                tensor.normal_(0, 0.1)
    state = model.state_dict()
    if form == 'timm':
        if 'VGG' not in name:
            pytest.skip('timm has no AlexNet')
        for old, new in TIMM.items():
            for kind in ('weight', 'bias'):
                state[f'{new}.{kind}'] = state.pop(f'{old}.{kind}')
        first, second = (state[f'pre_logits.fc{i}.weight'] for i in (1, 2))
        state['pre_logits.fc1.weight'] = first.reshape(4096, 512, 7, 7)
        state['pre_logits.fc2.weight'] = second.reshape(4096, 4096, 1, 1)
        save_safetensors(file, {key: tensor.numpy() for key, tensor in state.items()})
    else:
        torch.save(state, file, _use_new_zipfile_serialization=form == 'zip')
    layout = next(layout for layout in LAYOUTS if layout.about == name)
    result = import_torch(file, tmp_path / 'm.caffemodel', own_mean(layout))
    assert result.layout.net == layout.net
    net = net_of(deploy_net(find(layout.net)))
    assert not transplant(net, tmp_path / 'm.caffemodel').missing
    image = photo()
    mean, deviation = (np.array(values, np.float32) for values in layout.normalisation)
    rgb = (image / np.float32(255) - mean) / deviation
    with torch.no_grad():
        expected = model(torch.from_numpy(rgb.transpose(2, 0, 1)[None]))[0].numpy()
    found = logits(net, bgr(image, own_mean(layout)))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
