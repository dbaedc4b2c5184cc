"""How a run may differ from its recipe: augmented images, or a sampled loss (sections 3.4, 4.3)."""

from fcn.data_layers import Source
from fcn.errors import FCNError
from fcn.nets import NetConfig

from . import tensorboard
from .options import Options

MAX_BATCH = 2**31 - 1  # Caffe's iter_size has 32 bits.


def check(name: str, config: NetConfig, options: Options) -> None:
    """Raise FCNError unless net `name` of this config can be trained as `options` ask."""
    if not config.max_iter:
        raise FCNError(f'{name} is fetched, not trained; name another net')
    if options.tensorboard:
        tensorboard.check_installed()
    if config.is_classifier and (options.balance or options.sampling):
        raise FCNError(
            f'{name} is a classifier, whose loss has no pixels to weight or to sample; leave out '
            '--balance and --sample'
        )
    if config.is_classifier and options.crop:
        raise FCNError(f'{name} is a classifier, of images of one size; leave out --crop')


def augmented(
    source: Source, mirror: bool, jitter: int, crop: int | None = None, batch: int | None = None
) -> Source:
    """Return `source` with the data layer told to augment its examples (data_layers.augment), and
    to stack `batch` of them."""
    requested = {'mirror': mirror, 'jitter': jitter, 'crop': crop, 'batch': batch}
    return source._replace(
        options=(*source.options, *((key, value) for key, value in requested.items() if value))
    )


def scaled_batch_size(batch: int, sampling: float | None) -> int:
    """Return the images of a batch whose loss keeps a cell with probability `sampling`.

    The batch grows by 1/p, so that as many cells are learned from as without sampling (section
    3.4); None samples nothing. Raises FCNError if that is not a whole number of images.
    """
    if sampling is None:
        return batch
    images = batch / sampling
    if abs(images - round(images)) > 0.01:
        fitting = 1 / max(2, round(1 / sampling))
        raise FCNError(
            f'--sample {sampling}: a batch of {batch} would grow to {images:.3g} images; take a '
            f'probability such as {fitting:.4g}, which makes that a whole number'
        )
    if images > MAX_BATCH:
        raise FCNError(
            f'--sample {sampling}: a batch of {batch} would grow to more than {MAX_BATCH} images; '
            'take a smaller batch'
        )
    return round(images)
