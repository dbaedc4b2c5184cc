"""Decides which class a pixel of a set's masks is, or says why that cannot be decided.

A guess that is wrong trains a net on other classes than the user's, so each branch either is
certain, says in a note what it took, or refuses with the option that decides it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from fcn.errors import DataError
from fcn.text import few

from ..images import VOID
from ..palette import voc_palette
from .classes import VOIDS, coding_of, name_classes
from .facts import MaskFacts, total
from .legends import Legend
from .masks import Coding, Unknown, pack, unpack, voc_colours

MAX_CLASSES = 255
SHOWN = 12  # colours that a message lists
# A colour that takes less of all pixels is an edge's, not a class's.
RARE = 1e-2
MAX_EDGES = 0.5  # of the pixels, that may have colours of no class
# More numbers than that are classes only if the user says so: smoothed edges make all grey levels.
MANY = 64
MAX_OBJECT = 3  # a larger value, besides 0 alone, is hardly the number of a class
GREY = 0x010101  # times a level: its packed colour


class Wishes(NamedTuple):
    """What the user says about the masks: the options of the same names."""

    classes: int | None = None
    foreground: int | None = None
    unlabelled: int = 0
    unknown: Unknown = 'refuse'


class Decision(NamedTuple):
    """A coding, the names and colours of the classes, and what was taken for granted."""

    coding: Coding
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    notes: tuple[str, ...]


def decide(facts: Sequence[MaskFacts], legend: Legend | None, wishes: Wishes) -> Decision:
    """Return the coding of a set's masks.

    `legend` has the names of the classes, and their colours if they are known. Raises DataError,
    which says what the masks hold and what to give.
    """
    readable = [fact for fact in facts if not fact.problem]
    if not readable:
        raise DataError(facts[0].problem if facts else 'there are no masks')
    coloured = [fact for fact in readable if fact.coloured]
    if legend and legend.colours and _follow(readable, legend):
        return _by_legend(legend, wishes)
    # A mask of black alone is background as colours and as numbers.
    plain = [fact for fact in readable if not fact.coloured and set(fact.counts) != {0}]
    if coloured and plain:
        raise DataError(
            f'{coloured[0].path}: holds colours, and {plain[0].path} numbers; '
            'masks of one set are coded alike: give a legend if both are colours'
        )
    if coloured:
        return _by_colours(readable, legend, wishes)
    if legend and legend.numbers and legend.numbers != tuple(range(len(legend.names))):
        return _by_legend_numbers(legend, wishes)
    palettes = [fact for fact in readable if fact.palette is not None]
    if len(palettes) == len(readable):
        return _by_palettes(palettes, legend, wishes)
    return _by_numbers(readable, legend, wishes)


def _follow(facts: Sequence[MaskFacts], legend: Legend) -> bool:
    """Whether the masks hold the legend's colours, and not the numbers of its classes."""
    if any(fact.coloured for fact in facts):
        return True
    colours = {int(packed) for packed in map(_packed, legend.colours or ())}
    used = {colour for fact in facts for colour in (fact.palette or {}).values()}
    if used:
        return used <= colours
    grey = {value * GREY for value in total(facts)}
    numbers = set(total(facts)) - {VOID} <= set(range(len(legend.names)))
    return grey <= colours and not numbers


def _packed(colour: tuple[int, int, int]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _by_legend(legend: Legend, wishes: Wishes) -> Decision:
    """Take the classes of a legend's colours; those that are named as void are no classes."""
    assert legend.colours is not None
    pairs = list(zip(legend.names, legend.colours, strict=True))
    if twice := [colour for colour, n in Counter(legend.colours).items() if n > 1]:
        raise DataError(f'the legend gives the colour {twice[0]} to two classes')
    kept = [(name, colour) for name, colour in pairs if not is_void(name)]
    colours = {_packed(colour): number for number, (_, colour) in enumerate(kept)}
    colours |= {_packed(colour): VOID for name, colour in pairs if is_void(name)}
    coding = Coding(len(kept), None, colours, wishes.unlabelled, wishes.unknown)
    notes = ('pixels are read by the colours of the legend',)
    return Decision(coding, tuple(n for n, _ in kept), tuple(c for _, c in kept), notes)


def _by_legend_numbers(legend: Legend, wishes: Wishes) -> Decision:
    """Take the classes of a legend's numbers; those that are named as void are no classes."""
    kept = [place for place, name in enumerate(legend.names) if not is_void(name)]
    values = {VOID: VOID} | dict.fromkeys(legend.values(), VOID)
    values |= {legend.values()[place]: number for number, place in enumerate(kept)}
    coding = Coding(len(kept), values, {}, wishes.unlabelled, wishes.unknown)
    colours = tuple(legend.colours[k] for k in kept) if legend.colours else _voc(len(kept))
    notes = ('pixels are read by the numbers of the legend',)
    return Decision(coding, tuple(legend.names[k] for k in kept), colours, notes)


def is_void(name: str) -> bool:
    """Whether a class is named as pixels are that are of no class."""
    return name.lower() in VOIDS


def _by_colours(facts: Sequence[MaskFacts], legend: Legend | None, wishes: Wishes) -> Decision:
    """Take the colours of the VOC palette as the numbers of classes; refuse others.

    Half of the palette's colours lie between those of other classes, where smoothed edges lie too:
    with such edges, only the colours of as many classes as the user names are taken.
    """
    counts = total(facts)
    given = wishes.classes or (len(legend.names) if legend else None)
    known = voc_colours(given or MAX_CLASSES)
    rest = [colour for colour in counts if colour not in known]
    share = sum(counts[colour] for colour in rest) / sum(counts.values())
    if not rest or (given and share < MAX_EDGES and wishes.unknown != 'refuse'):
        numbers = [known[colour] for colour in counts if known.get(colour, VOID) != VOID]
        names = _names(max(numbers, default=0) + 1, legend, wishes)
        colours = {colour: number for colour, number in known.items() if number < len(names)}
        colours[int(pack(voc_palette())[VOID])] = VOID
        coding = Coding(len(names), None, colours, wishes.unlabelled, wishes.unknown)
        note = 'the masks hold the colours of the VOC palette: each is the class of its number'
        return Decision(coding, names, _voc(len(names)), (note,))
    frequent = _frequent(counts)
    why = ''
    if len(counts) > 2 * len(frequent) or any(fact.lossy for fact in facts):
        made = 'JPEG makes' if any(fact.lossy for fact in facts) else 'smoothed edges make'
        why = (
            f', besides {len(counts) - len(frequent)} rare ones, as {made} them '
            '(--unknown snap or --unknown void says what they are)'
        )
    raise DataError(
        f'{facts[0].path}: the masks hold colours whose classes are not known: '
        f'{_listed(frequent, counts)}{why}; give --legend FILE with a line name,red,green,blue '
        'for each class'
    )


def _frequent(counts: Counter[int]) -> list[int]:
    whole = sum(counts.values())
    return [colour for colour, n in counts.most_common() if n >= RARE * whole] or [
        colour for colour, _ in counts.most_common(1)
    ]


def _listed(colours: Sequence[int], counts: Counter[int]) -> str:
    whole = sum(counts.values())
    shown = [f'{unpack(c)} {100 * counts[c] / whole:.1f} %' for c in colours[:SHOWN]]
    more = f' and {len(colours) - SHOWN} more' if len(colours) > SHOWN else ''
    return ', '.join(shown) + more


def _by_palettes(facts: Sequence[MaskFacts], legend: Legend | None, wishes: Wishes) -> Decision:
    """Tell whether the values or the colours of palette images are the classes."""
    voc = pack(voc_palette())
    known = voc_colours()
    colours = {colour for fact in facts for colour in (fact.palette or {}).values()}
    used = {value: colour for fact in facts for value, colour in (fact.palette or {}).items()}
    if all(colour == voc[min(value, VOID)] for value, colour in used.items()) and not clash(facts):
        return _by_numbers(facts, legend, wishes)
    grey = all(colour % GREY == 0 for colour in colours)
    if len(colours) > 1 and colours <= set(known) and not grey:
        painted = [_painted(fact) for fact in facts]
        decision = _by_colours(painted, legend, wishes)
        note = (
            'the palettes hold the colours of VOC in an order of their own: '
            'the colours are the classes, not the values'
        )
        return decision._replace(notes=(note,))
    if problem := clash(facts):
        raise DataError(problem)
    decision = _by_numbers(facts, legend, wishes)
    shown = {value: unpack(used[value]) for value in range(len(decision.names)) if value in used}
    painted_colours = tuple(
        shown.get(number, colour) for number, colour in enumerate(decision.colours)
    )
    if len(set(painted_colours)) == len(painted_colours):
        decision = decision._replace(colours=painted_colours)
    note = 'the values of the palette images are the classes, and their palette gives the colours'
    return decision._replace(notes=(*decision.notes, note))


def clash(facts: Sequence[MaskFacts]) -> str:
    """Return a line about a value that has another colour in another mask's palette, or ''."""
    used: dict[int, tuple[int, MaskFacts]] = {}
    for fact in facts:
        for value, colour in (fact.palette or {}).items():
            first, origin = used.setdefault(value, (colour, fact))
            if first != colour:
                return (
                    f'{fact.path}: value {value} is {unpack(colour)}, and in {origin.path} '
                    f'{unpack(first)}: the palettes differ, so the colours are the classes; '
                    'give --legend FILE with a line name,red,green,blue for each class'
                )
    return ''


def _painted(fact: MaskFacts) -> MaskFacts:
    """Return the facts of a palette image as if it were saved in colours."""
    counts: Counter[int] = Counter()
    for value, n in fact.counts.items():
        counts[(fact.palette or {})[value]] += n
    return MaskFacts(fact.path, fact.size, True, dict(counts), fact.kinds)


def _by_numbers(facts: Sequence[MaskFacts], legend: Legend | None, wishes: Wishes) -> Decision:
    """Take values as the numbers of classes."""
    counts = total(facts)
    values = sorted(counts)
    given = wishes.classes or (len(legend.names) if legend else None)
    if wishes.foreground is not None:
        return _foreground(values, counts, facts, legend, wishes)
    if (other := _object(facts, counts)) and given in (None, 2):
        if given == 2:
            return _foreground(values, counts, facts, legend, wishes._replace(foreground=other))
        raise DataError(_ask_for_object(facts, counts, other))
    if values == [VOID] and given == 2:  # nothing but the object
        return _foreground(values, counts, facts, legend, wishes._replace(foreground=VOID))
    if values == [0, VOID]:
        raise DataError(_ask_for_object(facts, counts, VOID))
    if lossy := [fact for fact in facts if fact.lossy]:
        raise DataError(
            f'{lossy[0].path}: holds numbers of classes, and JPEG has changed some; export PNG'
        )
    numbers = [value for value in values if value != VOID]
    if not numbers:
        raise DataError(f'{facts[0].path}: the masks hold {VOID} (void) alone, and no class')
    if numbers[0] < 0 or (given is None and numbers[-1] >= MAX_CLASSES):
        wrong = numbers[0] if numbers[0] < 0 else numbers[-1]
        raise DataError(
            f'{_holder(facts, wrong)}: holds the value {wrong}, and classes are 0 to '
            f'{MAX_CLASSES - 1}; are the masks of instances? give masks of classes'
        )
    if given is None and not (numbers[-1] + 1) / 2 <= len(numbers) <= MANY:
        raise DataError(
            f'{facts[0].path}: the masks hold {few([str(n) for n in numbers])}: are they '
            f'grey levels, or numbers of {numbers[-1] + 1} classes? give --classes '
            f'{numbers[-1] + 1} if they are numbers, or --legend FILE with lines name,level,level,'
            'level if they are levels'
        )
    names = _names(numbers[-1] + 1, legend, wishes)
    coding = Coding(len(names))
    if legend:
        coding = coding_of(legend, name_classes(legend.names, None, 'background', False), False)
    coding = replace(coding, transparent=wishes.unlabelled, unknown=wishes.unknown)
    known = range(len(names)) if coding.values is None else coding.values
    beyond = [value for value in numbers if value not in known]
    if beyond and wishes.unknown != 'void':
        pixels = sum(counts[value] for value in beyond)
        raise DataError(
            f'{_holder(facts, beyond[-1])}: holds {few([str(n) for n in beyond])}, and there are '
            f'{len(names)} classes, {few(names)} ({pixels} pixels in all masks); give all '
            'classes, or --unknown void'
        )
    return Decision(coding, names, _colours(legend, len(names)), ())


def _object(facts: Sequence[MaskFacts], counts: Counter[int]) -> int | None:
    """Return the value of the only kind of object in masks that hold 0 or transparent pixels
    besides, and perhaps what JPEG or smoothed edges make of these; None in other masks."""
    value, pixels = max(counts.items(), key=lambda pair: (pair[0] > 0, pair[1]))
    ground = counts[0] or any(fact.transparent for fact in facts)
    if value <= MAX_OBJECT or not ground or counts[0] + pixels < MAX_EDGES * sum(counts.values()):
        return None
    others = set(counts) - {0, value}
    return value if not others or len(others) > MANY or any(f.lossy for f in facts) else None


def _ask_for_object(facts: Sequence[MaskFacts], counts: Counter[int], other: int) -> str:
    """Return the line that asks whether a value is the second class."""
    whole = sum(counts.values())
    edges = whole - counts[0] - counts[other]
    alone, snap = 'alone', ''
    if edges:
        alone = f'and {100 * edges / whole:.1f} % between them, as JPEG and smoothed edges make'
        snap = ' --unknown snap'
    void = f', and {VOID} is void here' if other == VOID else ''
    return (
        f'{facts[0].path}: the masks hold 0 and {other} {alone} '
        f'({100 * counts[other] / whole:.1f} % are {other}){void}: is it your second class? '
        f'give --foreground {other}{snap} (or --classes background,NAME{snap})'
    )


def _foreground(
    values: Sequence[int],
    counts: Counter[int],
    facts: Sequence[MaskFacts],
    legend: Legend | None,
    wishes: Wishes,
) -> Decision:
    """Take one value as the second class, and 0 as the first; the values between them are of
    smoothed edges."""
    other = wishes.foreground
    assert other is not None
    table = {0: 0, other: 1}
    if other != VOID:
        table[VOID] = VOID
    others = [value for value in values if value not in table]
    if others and (wishes.unknown == 'refuse' or max(values) > VOID):
        share = 100 * sum(counts[value] for value in others) / sum(counts.values())
        raise DataError(
            f'{_holder(facts, others[0])}: holds {others[0]}, and {share:.1f} % of the pixels of '
            f'all masks are neither 0 nor the foreground {other}; leave --foreground out, or give '
            '--unknown snap or --unknown void if these are smoothed edges'
        )
    names = _names(2, legend or Legend(('background', 'foreground'), None), wishes)
    coding = Coding(2, table, {}, wishes.unlabelled, wishes.unknown)
    if others and wishes.unknown == 'snap':
        levels = {value * GREY: number for value, number in table.items() if value in counts}
        coding = replace(coding, values=None, colours=levels)
    return Decision(
        coding, names, _colours(legend, 2), (f'{other} is the second class, {names[1]}',)
    )


def _holder(facts: Sequence[MaskFacts], value: int) -> str:
    """Return the path of the first mask that holds a value."""
    return str(next(fact.path for fact in facts if value in fact.counts))


def _names(count: int, legend: Legend | None, wishes: Wishes) -> tuple[str, ...]:
    """Return the names of the classes: the legend's, or numbers."""
    if legend:
        return tuple(name for name in legend.names if not is_void(name))
    return tuple(f'class {number}' for number in range(wishes.classes or count))


def _colours(legend: Legend | None, count: int) -> tuple[tuple[int, int, int], ...]:
    if legend and legend.colours:
        pairs = zip(legend.names, legend.colours, strict=True)
        return tuple(colour for name, colour in pairs if not is_void(name))
    return _voc(count)


def _voc(count: int) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(r), int(g), int(b)) for r, g, b in voc_palette()[:count])
