"""What a folder of images and labels is: which layout, which classes, which splits.

Each layout is one function, tried in the order of LAYOUTS; it returns None for a folder that is of
another. Those whose labels are polygons are in `exports`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fcn.errors import DataError

from ..images import VOID, open_image
from .classes import (
    Naming,
    check_chosen,
    coding_of,
    colours_of,
    name_classes,
)
from .coco import coco
from .found import Found, Options, assemble
from .known import CAMVID, CAMVID_11, CAMVID_FRAMES, CITYSCAPES, CITYSCAPES_IDS
from .labelme import labelme
from .legends import Legend, find_legend
from .listing import Listing, Placed, place, scan, stem
from .masks import Coding
from .pairing import Pairs, is_label_name, pair
from .supervisely import supervisely
from .texts import load_lines
from .yolo import yolo

Layout = Callable[[Listing, Options], Found | None]
SHOWN = 3  # labels whose mode tells whether a set's masks are of numbers or of colours


def find(folder: str | Path, options: Options = Options()) -> Found:  # noqa: B008
    """Return what a folder holds: its manifest, and what has no label or no image.

    Only headers of images are read. A set of masks whose format names no classes has none yet, and
    a coding of 0 classes. Raises DataError if the folder is of no layout that is known here.
    """
    listing = _inner(scan(folder))
    for layout in LAYOUTS:
        found = layout(listing, options)
        if found is not None:
            return found
    raise DataError(
        f'{listing.root}: holds no images with labels that are known here: masks, or exports of '
        'VOC, COCO, LabelMe, Cityscapes, CamVid, ADE20K, Supervisely or YOLO; the simplest is '
        'images/a.jpg with masks/a.png'
    )


def _inner(listing: Listing) -> Listing:
    """Return the listing of the one folder that holds everything, as unpacked archives have it."""
    while len(tops := {path.partition('/')[0] for path in listing.files}) == 1:
        top = tops.pop()
        says_something = place(f'{top}/a').name == 'a'
        holds_images = any(one.path.count('/') == 1 for one in listing.images)
        if top in listing.files or (says_something and holds_images):
            break
        listing = listing.below(top)
    return listing


def cityscapes(listing: Listing, options: Options) -> Found | None:
    """Read leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with gtFine/…/*_labelIds.png or
    *_labelTrainIds.png."""
    images = [one for one in listing.images if one.name.lower().endswith('_leftimg8bit')]
    for kind in ('labelIds', 'labelTrainIds'):
        labels = [
            one._replace(name=re.sub('(?i)_gt(fine|coarse)_label(train)?ids$', '', one.name))
            for one in listing.images
            if one.path.lower().endswith(f'_{kind.lower()}.png')
        ]
        if images and labels:
            break
    else:
        return None
    pairs = pair(images, labels, listing.root)
    names = CITYSCAPES_IDS if kind == 'labelIds' else CITYSCAPES.names
    chosen = options.classes
    check_chosen(chosen, names, listing.root)
    # What is not among the 19 is no class, as in the benchmark, unless the user chooses classes.
    naming = name_classes(
        names, chosen or CITYSCAPES.names, options.unlabelled if chosen else 'void', False
    )
    values = {place: naming.numbers[name] for place, name in enumerate(names)}
    coding = Coding(len(naming.classes), values={**values, VOID: VOID})
    colours = colours_of(naming, CITYSCAPES)
    return assemble(listing, options, 'cityscapes', pairs, naming, colours, coding, [kind])


def voc(listing: Listing, options: Options) -> Found | None:
    """Read JPEGImages with SegmentationClass, or LabelMe's SegmentationClassPNG."""
    images = [one for one in listing.images if _lies_in(one, 'jpegimages')]
    for folder in ('segmentationclass', 'segmentationclasspng', 'segmentationclassaug'):
        labels = [one for one in listing.images if _lies_in(one, folder)]
        if images and labels:
            return _masks(listing, options, 'voc', pair(images, labels, listing.root))
    return None


def _lies_in(one: Placed, folder: str) -> bool:
    return f'/{folder}/' in f'/{one.path.lower()}'


def ade20k(listing: Listing, options: Options) -> Found | None:
    """Read images/training with annotations/training, whose numbers objectInfo150.txt names; 0 is
    of no object."""
    info = next((path for path in listing.files if path.lower() == 'objectinfo150.txt'), None)
    if info is None or not (pairs := _by_folders(listing)).examples:
        return None
    names = [
        re.split('[;,]', line.split('\t')[-1])[0].strip()
        for _, line in load_lines(listing.root / info, 1 << 20)[1:]
    ]
    check_chosen(options.classes, names, listing.root / info)
    naming = name_classes(names, options.classes, options.unlabelled, True)
    values = {number: naming.numbers[name] for number, name in enumerate(names, 1)}
    coding = Coding(len(naming.classes), values={0: naming.unlabelled, **values, VOID: VOID})
    notes = [f'classes of {info}']
    return assemble(listing, options, 'ade20k', pairs, naming, colours_of(naming), coding, notes)


def folders(listing: Listing, options: Options) -> Found | None:
    """Read folders of images and of masks, or of both under names such as a.jpg and a_mask.png,
    with folders of splits inside or outside."""
    pairs = _by_folders(listing)
    return _masks(listing, options, 'folders', pairs) if pairs.examples else None


def lists(listing: Listing, options: Options) -> Found | None:
    """Read folders of images and of masks whose pairs are those of lists alone."""
    pairs = _by_folders(listing)
    both = pairs.unlabelled and pairs.orphans
    return _masks(listing, options, 'lists', pairs) if both else None


def _by_folders(listing: Listing) -> Pairs:
    images = [one for one in listing.images if one.role != 'other']
    labels = [one for one in images if one.role == 'label']
    if not labels:
        labels = [one for one in images if is_label_name(one.name)]
    paths = {one.path for one in labels}
    images = [one for one in images if one.path not in paths]
    if any(one.role == 'image' for one in images):
        images = [one for one in images if one.role == 'image']
    return pair(images, labels, listing.root)


def _masks(listing: Listing, options: Options, layout: str, pairs: Pairs) -> Found:
    """Return a set of masks whose classes are those of a legend, or not known yet."""
    labels = [example.label for _, example in pairs.examples]
    chosen = find_legend(options.legend, listing.root, labels) or _camvid(labels)
    if chosen is None:
        naming = Naming((), {}, VOID if options.unlabelled == 'void' else 0)
        if options.classes:
            naming = name_classes(options.classes, options.classes, options.unlabelled, False)
            if options.unlabelled == 'background':  # the first class, whatever its name
                naming = naming._replace(unlabelled=0)
        coding = Coding(len(naming.classes), transparent=naming.unlabelled)
        return assemble(listing, options, layout, pairs, naming, colours_of(naming), coding, [])
    source, legend = chosen
    check_chosen(options.classes, legend.names, listing.root / source)
    by_colour = legend.colours is not None and _holds_colours(listing, labels, legend)
    naming = name_classes(legend.names, options.classes, options.unlabelled, False)
    coding = coding_of(legend, naming, by_colour)
    notes = [f'classes of {source}, by {"colour" if by_colour else "number"}']
    colours = colours_of(naming, legend)
    return assemble(listing, options, layout, pairs, naming, colours, coding, notes)


def _camvid(labels: Sequence[str]) -> tuple[str, Legend] | None:
    """Return the legend of CamVid if all labels are called as its frames, else None."""
    if not labels or not all(re.match(CAMVID_FRAMES, Path(one).name.lower()) for one in labels):
        return None
    coloured = all(stem(label).lower().endswith('_l') for label in labels)
    return 'CamVid', CAMVID if coloured else CAMVID_11


def _holds_colours(listing: Listing, labels: Sequence[str], legend: Legend) -> bool:
    """Whether masks hold a legend's colours, and not the numbers of its lines, by their headers."""
    colours = legend.colours or ()
    if all(red == green == blue for red, green, blue in colours):
        return True
    for label in labels[:SHOWN]:
        with open_image(listing.root / label) as image:
            palette = image.getpalette('RGB') if image.mode in ('P', 'PA') else None
            grey = image.mode in ('1', 'L', 'LA', 'F') or image.mode.startswith('I')
        if grey:
            return False
        if palette is not None:
            held = {tuple(palette[place : place + 3]) for place in range(0, len(palette), 3)}
            if not held.intersection(colour for colour in colours if any(colour)):
                return False
    return True


LAYOUTS: Sequence[Layout] = (
    cityscapes,
    voc,
    ade20k,
    folders,
    supervisely,
    coco,
    labelme,
    yolo,
    lists,
)
