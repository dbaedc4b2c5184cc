"""Pages that give different figures of one net link each other and say why."""

from pathlib import Path
from typing import NamedTuple

from fcn.text import Cell, markdown_table

from .records import Figure, read_figures

INTRODUCTION = 'Other pages score the same nets, but not the same training or the same images:'
HEAD = ['net', 'page', 'mean IU', 'iterations', 'what it is the score of']
Row = tuple[Cell, ...]


class Links(NamedTuple):
    """A section in Markdown, '' if all pages agree, and the stems of the pages that it links."""

    section: str
    pages: list[str]


def links(folder: Path, stem: str, figures: list[Figure]) -> Links:
    """Return what other pages in `folder` say about the nets of page `stem`, where they differ."""
    others = [
        (path.stem, figure)
        for path in sorted(folder.glob('*.json'))
        if path.stem != stem
        for figure in read_figures(path)
    ]
    rows: dict[Row, list[str]] = {}  # and the pages that say so
    for own in figures:
        differing = [
            (page, other)
            for page, other in others
            if other.net == own.net and round(other.mean_iu, 1) != round(own.mean_iu, 1)
        ]
        if differing:
            rows[_row(own)] = ['this page']
        for page, other in differing:
            rows.setdefault(_row(other), []).append(page)
    if not rows:
        return Links('', [])
    lines = [(net, ', '.join(map(_link, pages)), *rest) for (net, *rest), pages in rows.items()]
    pages = {page: None for found in rows.values() for page in found if page != 'this page'}
    return Links(f'{INTRODUCTION}\n\n{markdown_table(HEAD, lines)}', list(pages))


def _row(figure: Figure) -> Row:
    return f'`{figure.net}`', f'{figure.mean_iu:.1f}', figure.iterations, figure.how


def _link(page: str) -> str:
    return page if page == 'this page' else f'[{page}]({page}.md)'
