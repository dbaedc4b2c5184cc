"""Published weights: ILSVRC's classifiers and the authors' FCNs, of the configs that have a url."""

import filecmp
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from fcn.errors import FCNError, WeightsError
from fcn.io import replacing
from fcn.nets import NETS
from fcn.surgery.caffemodel import read_weights
from fcn.text import few

from .fetch import FetchError, by_hand, fetch, file_name, warn_if_other

Kind = Literal['ilsvrc', 'fcn-weights']
# As Caffe's model zoo and OpenCV's tests publish them.
DIGESTS = {
    'VGG_ILSVRC_16_layers.caffemodel': 'sha1:9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24',
    'VGG_ILSVRC_19_layers.caffemodel': 'sha1:239785e7862442717d831f682bb824055e51e9ba',
    'bvlc_reference_caffenet.caffemodel': 'sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46',
    'bvlc_googlenet.caffemodel': 'sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204',
    'fcn32s-heavy-pascal.caffemodel': 'sha1:05eb922d7829c39448f57e5ab9d8cd75d6c0be6d',
    'fcn8s-heavy-pascal.caffemodel': 'sha1:c449ea74dd7d83751d1357d6a8c323fcf4038962',
}


def published(kind: Kind) -> dict[str, str]:
    """Return {net: url} of the nets whose weights are published: classifiers for 'ilsvrc', nets
    that segment for 'fcn-weights'."""
    return {
        name: config.url
        for name, config in NETS.items()
        if config.url and config.is_classifier == (kind == 'ilsvrc')
    }


def check(path: Path) -> int:
    """Return the number of layers with weights in a caffemodel.

    Raises WeightsError if it is damaged or another kind of file.
    """
    return sum(1 for _ in read_weights(path))


def bring(
    kind: Kind,
    nets: Sequence[str],
    folder: Path,
    given: Sequence[Path] = (),
    protocols: str = 'https',
) -> Iterator[tuple[str, Path, int]]:
    """Yield (net, file, number of layers) of each net once its weights are in `folder`.

    The nets are those named in `nets`, or all of the kind. Files that are there are read and left
    alone, unless another is given. Raises FCNError.
    """
    urls = published(kind)
    if unknown := [name for name in nets if name not in urls]:
        raise FCNError(
            f"{kind} has no weights of '{unknown[0]}'; it has those of {', '.join(urls)}"
        )
    urls = {name: urls[name] for name in nets or urls}
    at_hand = {path.name: path for path in given}
    if stray := sorted(set(at_hand) - set(map(file_name, urls.values()))):
        raise FCNError(
            f'{few(stray)}: not the weights of {few(urls)}; their files are '
            f'{few(map(file_name, urls.values()))}'
        )
    for name, url in urls.items():
        file = folder / file_name(url)
        own = at_hand.get(file.name)
        if own and not (file.is_file() and filecmp.cmp(own, file, shallow=False)):
            _copy(own, file)
        elif not file.is_file():
            try:
                fetch(url, file, DIGESTS.get(file.name), check, protocols)
            except FetchError as error:
                left = [url for url in urls.values() if not (folder / file_name(url)).is_file()]
                raise by_hand(error, left) from error
        try:
            layers = check(file)
        except WeightsError as error:
            raise WeightsError(f'{error}; remove it and run this command again') from error
        yield name, file, layers


def _copy(source: Path, target: Path) -> None:
    """Copy a user's caffemodel, which appears whole or not at all. Raises WeightsError if it is
    damaged."""
    check(source)
    warn_if_other(source, DIGESTS)
    with replacing(target) as partial:
        shutil.copyfile(source, partial)
