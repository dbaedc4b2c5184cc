"""Pages: a record as text, with its circumstances, and links to pages that disagree with it."""

import importlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from fcn.errors import FCNError
from fcn.io import write_text
from fcn.text import markdown_table

from . import EXPERIMENTS, Experiment
from .claims import Claims, format_claims
from .links import links
from .records import Figure, Record, is_record, read_record
from .settings import net_name

# The heads of the four metrics, in the order of fcn.metrics.METRICS.
HEADS = ('pixel acc.', 'mean acc.', 'mean IU', 'f.w. IU')
QUICK = 'This was a quick run, to try the code: it gives no verdicts.'


class Page:
    """What a page is written from: its record, and the other records in its folder."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder, self.stem = folder, stem
        self.record: Record = read_record(folder / f'{stem}.json')

    @property
    def raw(self) -> dict[str, Any]:
        """What the experiment's module measured."""
        return self.record.raw

    @property
    def experiment(self) -> Experiment:
        return EXPERIMENTS[self.record.experiment]

    @property
    def mini(self) -> bool:
        """Whether the page is about the miniature."""
        return not self.record.real

    @property
    def quick(self) -> bool:
        return self.record.quick

    @property
    def link(self) -> str:
        """A link to the page, for another."""
        return f'[{self.stem}.md]({self.stem}.md)'

    def net(self, kind: str) -> str:
        """Return the name of the page's net of a `kind`."""
        name = net_name(kind, self.record.backbone)
        assert name
        return name

    def iterations(self, run: str | None) -> int | None:
        """Return the iterations of a run; None if it is not among those of the record."""
        return self.record.runs[run].iterations if run in self.record.runs else None

    def picture(self, what: str) -> str:
        """Return the file name of the page's picture of `what`."""
        return f'{self.stem}-{what}.png'

    @cached_property
    def real(self) -> 'Page | None':
        """The same experiment's page on real images, for a page of the miniature; None without."""
        name = 'googlenet' if self.experiment.by_backbone else self.experiment.data
        stem = f'{self.experiment.name}-{name}'
        if not self.mini or not (self.folder / f'{stem}.json').is_file():
            return None
        real = Page(self.folder, stem)
        return real if real.quick == self.quick else None

    @cached_property
    def noise(self) -> float | None:
        """By how many points of mean IU the miniature's FCN-32s differs between seeds.

        `balancing` measures it. None without its page, on real images, and for quick runs.
        """
        file = self.folder / 'balancing.json'
        if not self.mini or self.quick or not file.is_file():
            return None
        balancing = read_record(file)
        if balancing.quick:
            return None
        values = balancing.raw['variants']['plain']['mean_iu']
        return float(max(values) - min(values))

    def seeds(self) -> str:
        """Return a sentence on what one seed tells."""
        if self.quick:
            return ''
        if self.noise is not None:
            return (
                f"Each net was trained once. The mean IU of the miniature's FCN-32s differs by "
                f'{self.noise:.1f} points between the seeds of [balancing](balancing.md); '
                'differences smaller than that are marked undecided.'
            )
        return (
            'Each net was trained once. By how much seeds differ was not measured here, so no '
            'difference is marked undecided for it.'
        )

    def own_verdicts(self, check: Callable[['Page'], Claims]) -> str:
        """Return the claims that `check` makes of this page. A quick run gives no verdicts."""
        return QUICK if self.quick else format_claims(check(self))

    def verdicts(self, check: Callable[['Page'], Claims]) -> str:
        """Return the claims that `check` makes of this page, and of the real one if there is one.

        A quick run gives no verdicts.
        """
        own = self.own_verdicts(check)
        if self.quick or not self.real:
            return own
        other = format_claims(check(self.real))
        return f'On the miniature:\n\n{own}\n\nOn real images ({self.real.link}):\n\n{other}'


class Module(Protocol):
    """What the module of an experiment offers for its page."""

    def body(self, page: Page) -> str:
        """Return the text of the page in Markdown."""
        ...

    def figures(self, page: Page) -> list[Figure]:
        """Return the scores of nets that the page gives."""
        ...


def module_of(page: Page) -> Module:
    """Return the module of a page's experiment."""
    module: Any = importlib.import_module(f'experiments.{page.experiment.name}')
    return module


def write_page(folder: Path, stem: str) -> Path:
    """Write the page of the record in STEM.json and return its path.

    Pages that give other figures of its nets are written again, so that they link back.
    """
    page = _with_figures(folder, stem)
    refresh(folder, links(folder, stem, page.record.figures).pages)
    return _write(page)


def refresh(folder: Path, stems: Iterable[str]) -> None:
    """Write pages again from their records, since others have changed that they link.

    Pages that are written by hand stay as they are.
    """
    from . import voc_googlenet  # It imports this module.

    for stem in stems:
        if is_record(folder / f'{stem}.json'):
            _write(_with_figures(folder, stem))
        elif stem == voc_googlenet.NAME:
            write_text(folder / f'{stem}.md', voc_googlenet.page(folder))


def rewrite(folder: Path, name: str) -> list[Path]:
    """Write the pages of experiment `name` again from their records; return their paths."""
    stems = [
        path.stem
        for path in sorted(folder.glob('*.json'))
        if is_record(path) and read_record(path).experiment == name
    ]
    if not stems:
        raise FCNError(f'{folder}: no record of {name} there; run it without --rewrite')
    return [write_page(folder, stem) for stem in stems]


def _with_figures(folder: Path, stem: str) -> Page:
    """Return a page whose record holds its figures, with those of its column of real images."""
    page = Page(folder, stem)
    module = module_of(page)
    figures = module.figures(page)
    figures += module.figures(page.real) if page.real else []
    figures = [] if page.quick else figures
    if figures != page.record.figures:
        page.record.figures = figures
        page.record.save(folder / f'{stem}.json')
    return page


def _write(page: Page) -> Path:
    section = page.experiment.section
    where = section if section.startswith('Appendix') else f'section {section}'
    other = links(page.folder, page.stem, page.record.figures).section
    parts = [
        f'# {page.experiment.name}: {page.experiment.about} ({where})',
        module_of(page).body(page).strip(),
        *([f'## Other figures of these nets\n\n{other}'] if other else []),
        f'## How\n\n{how(page)}',
    ]
    path = page.folder / f'{page.stem}.md'
    write_text(path, '\n\n'.join(parts) + '\n')
    return path


def how(page: Page) -> str:
    """Return how the page came about: its command, its time, its data and its runs."""
    record = page.record
    parts = [
        f'`{record.command}` at commit {record.commit} on {record.date}, on {record.machine}. '
        f'{duration(record)}'
    ]
    parts += [setting(page)] if setting(page) else []
    if record.runs:
        head = ['run', 'iterations', 'minutes of training']
        rows = [
            (f'`{label}`', run.iterations, run.minutes or None)
            for label, run in record.runs.items()
        ]
        parts.append(markdown_table(head, rows))
    parts += [
        f"`{net}` was made by other settings than this command's: {', '.join(keys)}."
        for net, keys in record.differing.items()
        if keys
    ]
    parts += [f'`{net}` has the weights that its authors published.' for net in record.published]
    return '\n\n'.join(parts)


def duration(record: Record) -> str:
    """Return a sentence on how long all of it took, with the runs that were there before."""
    own = f'This experiment took {record.seconds:.0f} s of that command'
    if not record.runs:
        return f'{own}.'
    runs = record.runs.values()
    if any(run.earlier is None for run in runs):
        total = sum(run.minutes for run in runs)
        return (
            f'{own}. That leaves out the training of runs that were there before, which was not '
            f'noted then. The runs below took {total:.1f} minutes of training in all; a run that '
            'they went on from counts only if it is listed.'
        )
    earlier = 60 * sum(run.earlier or 0 for run in runs)
    if not earlier:
        return f'{own}, with the training of all runs below.'
    return (
        f'{own}. Runs below that were there before had taken {earlier:.0f} s of training: '
        f'{record.seconds + earlier:.0f} s in all.'
    )


def setting(page: Page) -> str:
    """Return what differs from the paper in data, net and length of training."""
    record, experiment = page.record, page.experiment
    papers = f'The paper has {experiment.paper}' if experiment.paper else ''
    if page.mini:
        if not record.runs:
            return ''
        what = 'this is' if experiment.by_backbone else "the miniature's row is of"
        return (
            f'{papers or "The paper has real images"}, and an ILSVRC backbone; {what} the '
            'miniature: drawn shapes, a small VGG, and the iterations below.'
        )
    here = [f'learned from {record.learned_from}'] if record.learned_from else []
    here += [f'scored on {record.scored_on}'] if record.scored_on else []
    if not here:
        return ''
    return f'Images here: {", ".join(here)}.{f" {papers}." if papers else ""}'
