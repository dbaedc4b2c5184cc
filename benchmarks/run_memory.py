"""Prints the bytes that a command is reckoned to take on images of one size, then runs it.

    python -m benchmarks.run_memory {infer,score,train} NET WEIGHTS DATA OUT

DATA is a folder of the net's data set.
"""

import sys

from fcn.commands import infer, score, solve
from fcn.data_layers import DATASETS
from fcn.data_layers.registry import source_at
from fcn.engine import choose_device, net_of
from fcn.memory_estimate import MemoryEstimate, Use, largest_image, reading, segmenting
from fcn.nets import deploy_net, find, train_net_with_inputs


def main(task: str, net: str, weights: str, data: str, out: str) -> None:
    choose_device(-1)
    config = find(net)
    dataset = DATASETS[config.data]
    assert dataset.val and dataset.train
    source = source_at(dataset.val, data)
    _, height, width = largest_image(config, source)
    trained = MemoryEstimate(net_of(train_net_with_inputs(config, 96)))
    options = ['--gpu', '-1', '--weights', weights]
    if task == 'infer':
        deployed = MemoryEstimate(net_of(deploy_net(config)))
        needed = Use(deployed.weights) + deployed.testing(height, width)
        needed += segmenting(height, width)
        first, *others = config.input_names
        folders = {name: source.open().path(name, 'x').parent for name in config.input_names}
        more = [text for name in others for text in (f'--{name}', str(folders[name]))]
        main_of, arguments = infer.main, [str(folders[first]), '--net', net, '--out', out, *more]
    elif task == 'score':
        needed = Use(trained.weights) + trained.testing(height, width)
        needed += reading(config, source, height, width)
        main_of, arguments = score.main, [net, '--data', data]
    else:
        needed = trained.training(height, width) + trained.testing(height, width)
        for _ in ('train', 'val'):
            needed += reading(config, source, height, width)
        main_of, arguments = solve.main, [net, '--data', data, '--runs', out, '--iterations', '2']
    del trained
    print(int(needed.bytes), flush=True)
    sys.stdout = sys.stderr
    main_of([*arguments, *options])


if __name__ == '__main__':
    main(*sys.argv[1:])
