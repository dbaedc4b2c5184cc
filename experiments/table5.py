"""Table 5: SIFT Flow's two labellings by one net with two heads (section 5), against a net for
each.

The paper trains an FCN-16s with a semantic and a geometric head and loss on one backbone. It finds
that this net is as good at both tasks as two nets trained apart, and learns and infers about as
fast as either of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.clock import in_turns, is_faster
from fcn.engine import caffe, net_of, release_activations
from fcn.inference import load_net
from fcn.nets import deploy_net, find, train_net
from fcn.solvers import Run
from fcn.surgery import transplant
from fcn.text import Cell, markdown_table

from .claims import Claims, Verdict, exceeds
from .pages import HEADS, Page
from .paper import TABLE5, TABLE5_GEOMETRIC
from .records import Figure
from .runs import Published
from .scoring import percent
from .study import Study

KINDS = {
    'both': 'siftflow-fcn16s',
    'semantic alone': 'siftflow-fcn16s-sem',
    'geometric alone': 'siftflow-fcn16s-geo',
}
# Label → its name, and the metric that the paper reports of it.
LABELS = {
    'sem': ('semantic', 'mean_iu', 'mean IU'),
    'geo': ('geometric', 'pixel_accuracy', 'pixel accuracy'),
}
ROUNDS, MIN_TURN = 5, 0.3  # rounds of which the median counts, and the seconds of a turn in each
TOLERANCE = 1.2  # times as long is about as fast
HEAD = [
    'FCN-16s',
    'iterations',
    *HEADS,
    'geometric mean IU',
    'geometric pixel acc.',
    'ms an iteration',
    'ms an image',
]

Results = Mapping[str, Mapping[str, Mapping[str, float]]]
# {title: seconds in each round of learning, and of inference}
Rounds = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def measure(study: Study) -> dict[str, Any]:
    """Return each net's metrics and seconds, and which of both times are about as short as those of
    the slower net alone."""
    nets = {title: study.settings.net(kind) for title, kind in KINDS.items()}
    runs = {title: study.runs.train(name) for title, name in nets.items()}
    results = {title: study.scoring.score(name, runs[title])[0] for title, name in nets.items()}
    rounds = time_rounds(study, nets, runs)
    return dict(
        nets={
            nets[title]: dict(
                metrics=results[title],
                seconds_an_iteration=float(np.median(rounds[title][0])),
                seconds_an_image=float(np.median(rounds[title][1])),
            )
            for title in nets
        },
        rounds=len(rounds['both'][0]),
        about_as_fast=[about_as_fast(rounds, index) for index in (0, 1)],
    )


def about_as_fast(rounds: Rounds, index: int) -> Verdict:
    """Return whether the net for both takes about as long as the slower of the two, in learning (0)
    or inference (1); None if the rounds do not tell."""
    both, *alone = (seconds[index] for seconds in rounds.values())
    return is_faster(both, max(alone, key=np.median), 1 / TOLERANCE)


def time_rounds(
    study: Study, nets: Mapping[str, str], runs: Mapping[str, Run | Published]
) -> Rounds:
    """Return the seconds of learning from an image of validation in each round, as far as the
    gradients, and of its inference, for each title."""
    tasks = {
        (title, index): task
        for title, name in nets.items()
        for index, task in enumerate(_tasks(study, name, runs[title]))
    }
    seconds = in_turns(tasks, 1 if study.settings.quick else ROUNDS, MIN_TURN)
    return {title: (seconds[title, 0], seconds[title, 1]) for title in nets}


def _tasks(
    study: Study, name: str, run: Run | Published
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return two functions: one learns from an image, as far as the gradients, and one infers the
    labels of another."""
    config, dataset = find(name), study.sets.dataset(name)
    learns = net_of(train_net(config, study.sets.source(name, 'val', 1)), caffe.TRAIN)
    transplant(learns, str(run.weights()))
    release_activations(learns)
    infers = load_net(deploy_net(config), str(run.weights()))
    for top, blob in config.input_blobs.items():
        image = dataset.inputs[top].blob(dataset.image(dataset.names[0], top))
        infers.blobs[blob].reshape(1, *image.shape)
        infers.blobs[blob].data[0] = image

    def learn() -> None:
        learns.forward()
        learns.backward()

    return learn, infers.forward


def check_scores(results: Results, noise: float | None = 0) -> Claims:
    """Return whether one net for both labellings is as good as one for each, with the gains.

    `results` is {title: {label: metrics}}, `noise` what seeds differ by, in points of mean IU.
    """
    claims = {}
    for label, (word, metric, name) in LABELS.items():
        both, alone = results['both'][label][metric], results[f'{word} alone'][label][metric]
        gain = 100 * (both - alone)
        claim = (
            f'One net for both is as good at the {word} classes as one for them alone, within a '
            f'point ({gain:+.1f} {name})'
        )
        claims[claim] = exceeds(gain + 1, noise if metric == 'mean_iu' else 0)
    return claims


def by_title(page: Page) -> dict[str, dict[str, Any]]:
    """Return {title: metrics and seconds} of a page."""
    return {title: page.raw['nets'][page.net(kind)] for title, kind in KINDS.items()}


def check_claims(page: Page) -> Claims:
    nets = by_title(page)
    results = {title: values['metrics'] for title, values in nets.items()}
    claims = dict(check_scores(results, page.noise))
    for word, key, verdict in zip(
        ('learns', 'infers'),
        ('seconds_an_iteration', 'seconds_an_image'),
        page.raw['about_as_fast'],
        strict=True,
    ):
        both, *alone = (values[key] for values in nets.values())
        claim = (
            f'It {word} about as fast as the slower of the two, within a fifth '
            f'({both / max(alone):.2f} of its time, {both / sum(alone):.2f} of that of both)'
        )
        claims[claim] = verdict
    return claims


def cells(results: Mapping[str, Mapping[str, float]]) -> list[Cell]:
    """Return the columns of {label: metrics} in percent, None for what a net does not learn."""
    semantic: list[Cell] = [*(percent(dict(results['sem'])) if 'sem' in results else [None] * 4)]
    geometric = results.get('geo')
    if not geometric:
        return [*semantic, None, None]
    return [*semantic, 100 * geometric['mean_iu'], 100 * geometric['pixel_accuracy']]


def body(page: Page) -> str:
    rows: list[list[Cell]] = []
    for title, values in by_title(page).items():
        ms = [1000 * values[key] for key in ('seconds_an_iteration', 'seconds_an_image')]
        count = page.iterations(page.net(KINDS[title]))
        rows.append([title, count, *cells(values['metrics']), *ms])
    rows.append(['both, in the paper', None, *TABLE5, None, TABLE5_GEOMETRIC, None, None])
    rounds = page.raw['rounds']
    text = [
        markdown_table(HEAD, rows),
        page.verdicts(check_claims),
        page.seeds(),
        f'Times are of one pass: the median of {rounds} round{"" if rounds == 1 else "s"} after a '
        'pass to warm up, the nets in turns.',
    ]
    return '\n\n'.join(filter(None, text))


def figures(page: Page) -> list[Figure]:
    how = f'one seed, scored on {page.record.scored_on} images'
    return [
        Figure(net, 100 * values['metrics']['sem']['mean_iu'], page.iterations(net), how)
        for net, values in page.raw['nets'].items()
        if 'sem' in values['metrics']
    ]
