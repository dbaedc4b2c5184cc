"""What an experiment is given: a trunk and data, trained runs and their scores, and a place for its report."""

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fcn.data_layers import DATASETS, source_at
from fcn.engine import versions
from fcn.errors import DataError, FCNError
from fcn.inference import evaluate, load_net, segment
from fcn.io import write_text
from fcn.metrics import metrics
from fcn.nets import NETS, deploy_net, find, train_net
from fcn.progress import TrainingBar
from fcn.solvers import Options, Run, Trainer, published, starting_weights, weights_of
from miniature.generate import generate
from miniature.sets import generate_nyud, generate_siftflow

from .report import claims, clean, exceeds, machine, minutes, table
from .runs import Published, ended, unlike

__all__ = ['Study', 'StudyError', 'claims', 'exceeds', 'table']

TRUNKS = ('mini', 'vgg16', 'googlenet')
VAL_IMAGES = 80  # of each validation while a net learns; reports score them all
QUICK = 10  # --quick learns for so many times fewer iterations
QUICK_REAL = 4  # iterations of --quick on real images,
QUICK_IMAGES = 6  # and how many are scored
# The miniature in the layouts of other sets than VOC.
OTHERS = {'nyud': generate_nyud, 'siftflow': generate_siftflow}


class StudyError(FCNError):
    """An experiment cannot be run as asked, in one line with the mend."""


@dataclass
class Study:
    """One run of an experiment (a config of EXPERIMENTS) on one trunk and one data set.

    `data` is None for the miniature, else the folder of a real set, and `train_data` that of the images
    to learn from if it is another. `runs` holds run folders, which all experiments share; `out` gets
    the report. `iterations`, if given, is how long every FCN learns. `weights` is the caffemodel of the real
    trunk's classifier, if it is not where prepare.py puts it. `device` is what engine.choose_device says.
    """

    experiment: object
    trunk: str = 'mini'
    data: Path | None = None
    train_data: Path | None = None
    runs: Path = Path('runs/experiments')
    out: Path = Path('results')
    quick: bool = False
    iterations: int | None = None
    weights: str | None = None
    device: str = 'cpu'

    def __post_init__(self):
        self._began, self._used, self._unlike, self._learned, self._scored = (
            time.monotonic(),
            {},
            {},
            0,
            0,
        )
        if self.trunk not in TRUNKS:
            raise StudyError(f'--trunk {self.trunk}: the trunks are {", ".join(TRUNKS)}')
        if (self.trunk == 'mini') != (self.data is None) and self.experiment.by_trunk:
            raise StudyError(
                f'--trunk {self.trunk}: '
                + (
                    'the miniature trunk learns the miniature alone; leave out --data or --trunk'
                    if self.data
                    else f'a real trunk wants a real set; prepare one with `{self._prepare}` and name it with --data'
                )
            )
        for folder in (self.data, self.train_data):
            if folder and not folder.is_dir():
                raise StudyError(
                    f'{folder}: no such folder; prepare the set with `{self._prepare}`'
                )
        if self.quick:
            self.runs = self.runs / 'quick'

    @property
    def _prepare(self):
        """The commands that prepare the experiment's real set."""
        name = self.experiment.data
        return f'python prepare.py {name}' + (
            '` and `python prepare.py sbd' if name == 'voc' else ''
        )

    @property
    def name(self):
        return self.experiment.name

    @property
    def stem(self):
        """The name of the report's files: the experiment, and what tells a real one from the miniature."""
        if self.data is None:
            return self.name
        return f'{self.name}-{self.trunk if self.experiment.by_trunk else self.experiment.data}'

    def net(self, kind):
        """The name of this trunk's net of a `kind` such as fcn32s, or nyud-fcn32s-color; FCNError if there is none."""
        if self.trunk == 'mini':
            return self._known(f'mini-{kind}')
        if kind in NETS:
            return kind
        if self.trunk == 'googlenet':
            return self._known('voc-fcn-googlenet' if kind == 'fcn32s' else f'voc-{kind}-googlenet')
        return self._known(f'voc-{kind}')

    def nets(self, kinds):
        """{kind: name} of the nets among `kinds` that this trunk has."""
        found = {}
        for kind in kinds:
            try:
                found[kind] = self.net(kind)
            except StudyError:
                continue
        return found

    def _known(self, name):
        if name not in NETS:
            raise StudyError(
                f'{self.name}: the trunk {self.trunk} has no net {name}; try another --trunk'
            )
        return name

    def miniature(self, kind='voc'):
        """The folder of the miniature in the layout of `kind`, drawn if it is not there."""
        folder = Path('data') / '-'.join(
            ['mini', *([] if kind == 'voc' else [kind]), *(['quick'] * self.quick)]
        )
        if kind == 'voc':
            return generate(
                folder,
                *((80, 40) if self.quick else (800, 200)),
                objects=400 if self.quick else 4000,
            )
        if kind not in OTHERS:
            raise StudyError(f'{self.name}: there is no miniature of {kind}')
        return OTHERS[kind](folder, *((60, 20) if self.quick else (600, 150)))

    def source(self, net, phase, images=None):
        """data_layers.Source of what `net` learns from ('train') or is scored on ('val'), or of so many of its images;
        StudyError if it is not prepared."""
        dataset = DATASETS[find(net).data]
        source = getattr(dataset, phase)
        kind = {'mini': 'voc', 'mini-objects': 'voc'}.get(
            find(net).data, find(net).data.removeprefix('mini-')
        )
        real = self.train_data if phase == 'train' and self.train_data else self.data
        try:
            source = source_at(source, real or self.miniature(kind))
            source.names()
        except DataError as error:
            raise StudyError(f'{error}; prepare the set with `{self._prepare}`') from error
        return source._replace(options=(*source.options, ('limit', images))) if images else source

    def train(self, net, label=None, iterations=None, **options):
        """solvers.Run of `net`, trained to its end in the run folder `label` (default: the net's name).

        What is finished is not trained again, and what was interrupted goes on. `iterations` are those of the command
        line or the recipe unless given; nets that share a label must ask for the same number. A parent is trained
        first, as the net's config names it. More `options` are fields of solvers.Options. A run of a real net that has
        come to an end, such as solve.py makes in days, is used as it is, unless it is one of ours that is to go on to
        `--iterations`; without a run, so are the weights that are published and fetched. Raises KeyboardInterrupt
        after Ctrl-C.
        """
        config, run = find(net), Run(self.runs / (label or net))
        wanted = (
            iterations
            or (self.iterations if not config.is_classifier else None)
            or self.usual(config)
        )
        validated = QUICK_IMAGES if self.quick and self.data else VAL_IMAGES
        options = (
            dict(
                val_every=max(1, wanted // 4),
                val_images=validated,
                device=self.device,
                command=self.command,
            )
            | options
        )
        source = self.source(net, 'train')
        trainer = Trainer(
            net, run.folder, Options(source, self.source(net, 'val'), wanted, **options)
        )
        # A folder that we named says nothing of the data: there the settings decide.
        if self.data and not label:
            if ended(run) and (self.iterations is None or unlike(run, trainer.settings)):
                self._unlike[net] = unlike(run, trainer.settings)
                return self._note(net, run)
            if self.iterations is None and not run.snapshots.all() and (file := published(net)):
                return self._note(net, Published(file))
        self._learned = len(source.names())
        if not trainer.done:
            sources = [] if run.iteration else self._start(net)
            with TrainingBar(net) as progress:
                if trainer.train(sources, progress) is None:
                    raise KeyboardInterrupt
        return self._note(label or net, run)

    def usual(self, config):
        """The iterations of a config of nets.NETS where nothing else is asked for."""
        if not self.quick:
            return config.max_iter
        return QUICK_REAL if self.data else config.max_iter // QUICK

    def _start(self, net):
        """[(caffemodel, stream)] that a net starts from; parents that are not trained yet are."""
        parents = find(net).parents
        if all(find(name).max_iter for name in parents):
            return [(self.train(name).weights(), stream) for name, stream in parents.items()]
        return (
            [(weights_of(self.weights), '')] if self.weights else starting_weights(net, self.runs)
        )

    def found(self, net):
        """The Run of `net` if it has come to an end in the run folders, else None."""
        run = Run(self.runs / net)
        return self._note(net, run) if ended(run) else None

    def _note(self, label, run):
        self._used[label] = run
        return run

    def score(self, net, run, images=None):
        """{label: metrics} of `net` with the weights of `run` on its validation images or so many of
        them, evenly spread, and the seconds that each took, with reading it and comparing it with the truth."""
        images = images or (QUICK_IMAGES if self.quick and self.data else None)
        config, source = find(net), self.source(net, 'val', images)
        count = min(images or sys.maxsize, len(source.names()))
        self._scored = max(self._scored, count)
        caffe_net = load_net(train_net(config, source), run.weights())
        began = time.monotonic()
        matrices, _ = evaluate(
            caffe_net,
            count,
            lambda passes: tqdm(
                passes,
                desc=f'score {run.folder.name}',
                unit='image',
                dynamic_ncols=True,
                disable=None,
            ),
        )
        seconds = (time.monotonic() - began) / count
        return {
            label: metrics(matrix, DATASETS[config.data].drop_absent)
            for label, matrix in matrices.items()
        }, seconds

    def dataset(self, net):
        """The data_layers.SegDataset that `net` is scored on."""
        source = self.source(net, 'val')
        return source.open()

    def segmenter(self, net, run):
        """The function from an image, H×W×3 uint8, to what `net` with the weights of `run` labels it, H×W uint8."""
        config, caffe_net = find(net), load_net(deploy_net(find(net)), run.weights())
        (top,), (label, *_) = config.input_blobs, DATASETS[config.data].labels
        return lambda image: segment(caffe_net, config, {top: image})[label]

    def picture(self, what):
        """The Path to save the report's picture of `what` at."""
        self.out.mkdir(parents=True, exist_ok=True)
        return self.out / f'{self.stem}-{what}.png'

    def beside(self, trunk):
        """What this experiment's report with another trunk keeps as JSON in `out`, or None."""
        file = self.out / (f'{self.name}.json' if trunk == 'mini' else f'{self.name}-{trunk}.json')
        return json.loads(file.read_text()) if file.is_file() else None

    def noise(self):
        """How many points of mean IU the miniature's FCN-32s differs by from seed to seed, as `balancing` has found;
        None without its report, or on real images."""
        file = self.out / 'balancing.json'
        if self.trunk != 'mini' or not file.is_file():
            return None
        return float(np.ptp(json.loads(file.read_text())['raw']['plain']['mean_iu']))

    @property
    def command(self):
        return clean(' '.join(['python -m experiments', *sys.argv[1:]]))

    def report(self, text, raw):
        """Write and print the report: `text` in Markdown as NAME.md, and `raw` with its circumstances as NAME.json."""
        about = dict(
            command=self.command,
            commit=versions()['fcn'],
            date=f'{datetime.now(UTC):%Y-%m-%d}',
            machine=machine(),
            seconds=round(time.monotonic() - self._began, 1),
            runs={
                label: dict(iterations=run.iteration, minutes=round(minutes(run), 2))
                for label, run in self._used.items()
            },
        )
        how = [
            f'`{about["command"]}` at commit {about["commit"]} on {about["date"]} took {about["seconds"]:.0f} s on '
            f'{about["machine"]}.'
        ]
        how += [self._setting()] if self._setting() else []
        if self._used:
            how.append(
                '\n'
                + table(
                    ['run', 'iterations', 'minutes of training'],
                    [
                        (f'`{label}`', values['iterations'], values['minutes'] or None)
                        for label, values in about['runs'].items()
                    ],
                )
            )
        how += [
            f"\n`{net}` was made by other settings than this command's: {', '.join(keys)}."
            for net, keys in self._unlike.items()
            if keys
        ]
        how += [
            f'\n`{net}` has the weights that its authors published.'
            for net, run in self._used.items()
            if isinstance(run, Published)
        ]
        title = f'# {self.name}: {self.experiment.words} ({_section(self.experiment.section)})'
        self.out.mkdir(parents=True, exist_ok=True)
        write_text(
            self.out / f'{self.stem}.json', json.dumps({**about, 'raw': raw}, indent=2) + '\n'
        )
        write_text(
            self.out / f'{self.stem}.md',
            f'{title}\n\n{text.strip()}\n\n## How\n\n' + '\n'.join(how) + '\n',
        )
        print((self.out / f'{self.stem}.md').read_text())

    def _setting(self):
        """What differs from the paper in data, net and length of training."""
        papers = f'The paper has {self.experiment.paper}' if self.experiment.paper else ''
        if self.data is None:
            what = 'this is' if self.experiment.by_trunk else "the miniature's config is of"
            return (
                (
                    f'{papers or "The paper has real images"}, and an ILSVRC trunk; {what} the miniature: drawn '
                    'shapes, a small VGG, and the iterations below.'
                )
                if self._used
                else ''
            )
        here = ([f'learned from {self._learned}'] if self._learned else []) + (
            [f'scored on {self._scored}'] if self._scored else []
        )
        return (
            f'Images here: {", ".join(here)}. {papers}{"." * bool(papers)}'.strip() if here else ''
        )


def _section(section):
    return section if section.startswith('Appendix') else f'section {section}'
