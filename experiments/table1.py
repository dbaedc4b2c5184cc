"""Three classifiers made fully convolutional (section 4.1, Table 1).

What follows from the layers is computed from them: the receptive field and stride of the
classifier's scores, how many layers with parameters lie one after another, how many parameters
there are. Time is that of a 500×500 image.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import caffe
import numpy as np

from benchmarks.clock import in_turns, is_faster
from fcn.engine import net_of, release_activations
from fcn.nets import NETS, deploy_net, find
from fcn.nets.receptive_field import ReceptiveField, receptive_fields
from fcn.solvers import Run
from fcn.surgery import convolutionalize, start
from fcn.text import Cell, markdown_table

from .claims import Claims, Verdict, all_hold
from .pages import Page
from .paper import TABLE1
from .records import Figure
from .runs import Published
from .study import Study

SIDE = 500
TRIALS = 20
REAL = {
    'voc-fcn-alexnet': 'FCN-AlexNet',
    'voc-fcn32s': 'FCN-VGG16',
    'voc-fcn-googlenet': 'FCN-GoogLeNet',
}
MINI = {'mini-fcn32s': 'the miniature'}
HEAD = [
    'net',
    'mean IU',
    'of the run',
    'after iterations',
    'forward, ms: mean',
    'median',
    'parameter layers',
    'millions of parameters',
    'receptive field as a classifier',
    'and as this FCN',
    'max stride',
]


def classifier_field(name: str) -> ReceptiveField:
    """Return the receptive field of the class scores of the classifier that net `name` comes from,
    cast to convolutions."""
    (parent,) = find(name).parents
    classifier = deploy_net(find(parent)).to_proto()
    whole = convolutionalize(net_of(classifier), classifier)
    return receptive_fields(whole)[whole.layer[-1].bottom[0]]


def depth(spec: caffe.NetSpec) -> int:
    """Return the maximum number of layers with parameters one after another, fixed upsampling
    aside."""
    depths: dict[str, int] = {}
    for layer in spec.to_proto().layer:
        below = max((depths[bottom] for bottom in layer.bottom), default=0)
        for top in layer.top:
            depths[top] = below + (layer.type in ('Convolution', 'InnerProduct'))
    return max(depths.values())


def structure(name: str) -> dict[str, float]:
    """Return what follows from the layers of a net."""
    spec = deploy_net(find(name))
    net, fields = net_of(spec), receptive_fields(spec)
    parameters = sum(
        blob.count
        for layer, blobs in net.params.items()
        for blob in blobs
        if net.layer_dict[layer].type != 'Deconvolution'
    )
    return dict(
        layers=depth(spec),
        millions=parameters / 1e6,
        field=int(classifier_field(name).size),
        own_field=int(fields['score_fr'].size),
        stride=int(max(field.stride for field in fields.values())),
    )


def forward_pass(name: str) -> Callable[[], Any]:
    """Return the forward pass of a net with drawn weights on an image of noise."""
    net = net_of(deploy_net(find(name)))
    start(net, [], init_missing=True)
    release_activations(net)
    net.blobs['data'].reshape(1, 3, SIDE, SIDE)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, net.blobs['data'].shape)
    return net.forward


def run_of(study: Study, name: str) -> tuple[str, Run | Published] | None:
    """Return (net, run) of which the mean IU is.

    It is the net of Table 1's recipe if that has a run, else `name`'s; of the miniature, the run
    that is there or is made. None without a run, or without a set to score it on.
    """
    if find(name).data == 'mini':
        return (name, study.runs.train(name)) if study.settings.mini else None
    for net in () if study.settings.mini else (f'{name}-cvpr', name):
        if net in NETS and (run := study.runs.finished(net)):
            return net, run
    return None


def score(study: Study, name: str) -> dict[str, Any]:
    """Return the mean IU in percent and the net whose run it is, both None if there is no run."""
    found = run_of(study, name)
    if not found:
        return dict(mean_iu=None, run=None)
    return dict(mean_iu=100 * study.scoring.first(*found)['mean_iu'], run=found[0])


def time_order(seconds: Mapping[str, Sequence[float]]) -> Verdict:
    """Return whether the time of trials goes up in the order of the paper's; None if undecided."""
    order = sorted(TABLE1, key=lambda name: TABLE1[name].ms)
    return all_hold(is_faster(seconds[one], seconds[other]) for one, other in pairwise(order))


def measure(study: Study) -> dict[str, Any]:
    trials = 1 if study.settings.quick else TRIALS
    nets = REAL | MINI if study.settings.mini else REAL
    seconds = in_turns({name: forward_pass(name) for name in nets}, trials)
    results = {
        name: structure(name)
        | dict(
            ms=1000 * float(np.mean(seconds[name])),
            median_ms=1000 * float(np.median(seconds[name])),
        )
        | score(study, name)
        for name in nets
    }
    return dict(found=results, trials=trials, time_order=time_order(seconds))


def check_claims(page: Page) -> Claims:
    """Return what the paper's table says, and whether it holds here."""
    results = page.raw['found']
    same = all(
        (
            results[name]['layers'],
            round(results[name]['millions']),
            results[name]['field'],
            results[name]['stride'],
        )
        == paper[2:]
        for name, paper in TABLE1.items()
    )
    return {
        'Layers, parameters, receptive fields and strides, computed from the nets, are those of '
        'the paper': same,
        'Time goes up in the order AlexNet, GoogLeNet, VGG-16': page.raw['time_order'],
    }


def scored(page: Page, name: str) -> tuple[Cell, ...]:
    """Return the mean IU of a net, the run it is of, and its iterations.

    Those of real nets are what a page on real images says.
    """
    page = page.real if page.real and name in page.real.raw['found'] else page
    values = page.raw['found'][name]
    run = values['run'] or (name if values['mean_iu'] else None)
    return values['mean_iu'], run and f'`{run}`', page.iterations(run)


def rows(page: Page) -> list[tuple[Cell, ...]]:
    lines: list[tuple[Cell, ...]] = []
    for name, values in page.raw['found'].items():
        title = (REAL | MINI)[name]
        lines.append(
            (
                title,
                *scored(page, name),
                f'{values["ms"]:.0f}',
                f'{values["median_ms"]:.0f}',
                values['layers'],
                f'{values["millions"]:.1f}',
                values['field'],
                values['own_field'],
                values['stride'],
            )
        )
        if name in TABLE1:
            iu, ms, layers, millions, field, stride = TABLE1[name]
            figures = ms, None, layers, millions, field, None, stride
            lines.append((f'{title}, the paper', iu, None, None, *figures))
    return lines


def body(page: Page) -> str:
    origin = ''
    if page.real:
        origin = f" The real nets' mean IU is from {page.real.link}."
    text = [
        markdown_table(HEAD, rows(page)),
        page.own_verdicts(check_claims),  # The real page's column has nothing to check.
        f'Times are of a {SIDE}×{SIDE} image, the mean and the median of {page.raw["trials"]} '
        'passes after one to warm up, the nets in turns, weights drawn; the paper has the mean of '
        '20 on a Tesla K40c. Their order is undecided where trials differ too much to say. '
        "FCN-GoogLeNet lacks the classifier's last average pooling, so that its scores see less "
        "than the paper's table says.",
        "Table 1's nets learned from the 1112 images of VOC 2011 train and were scored on all of "
        'its val, by the recipe of the nets named `-cvpr`; `--data DIR --runs DIR` scores their '
        'runs, or where they have none those of the nets without. A dash is a net that has no '
        f'run.{origin}',
    ]
    return '\n\n'.join(filter(None, text))


def figures(page: Page) -> list[Figure]:
    return [
        Figure(values['run'], values['mean_iu'], page.iterations(values['run']), _how(page))
        for values in page.raw['found'].values()
        if values['run'] in page.record.runs
    ]


def _how(page: Page) -> str:
    return f'one seed, scored on {page.record.scored_on} images'
