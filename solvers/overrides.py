"""What a run may do otherwise than its recipe: augment its images, or sample the loss (sections 3.4 and 4.3)."""

from fcn.errors import FCNError

MOST = 2**31 - 1


def check(name, config, options):
    """FCNError unless net `name`, a config of nets.NETS, can be trained as `options`, solvers.Options, ask."""
    if config.is_classifier and (options.balance or options.sampling):
        raise FCNError(
            f'{name} is a classifier, whose loss has no pixels to weigh or to sample; leave out '
            '--balance and --sample'
        )


def augmented(source, mirror, jitter):
    """`source` with the data layer told to augment its examples (data_layers.augment)."""
    asked = {'mirror': mirror, 'jitter': jitter}
    return source._replace(
        options=(*source.options, *((key, value) for key, value in asked.items() if value))
    )


def scaled_batch_size(batch, sampling):
    """The images of a batch of which the loss keeps a cell with probability `sampling`, or None for all.

    It grows by 1/p, so that as many cells are learned from as without (section 3.4). FCNError if
    that is no whole number of images.
    """
    if sampling is None:
        return batch
    images = batch / sampling
    if abs(images - round(images)) > 0.01:
        raise FCNError(
            f'--sample {sampling}: a batch of {batch} would grow to {images:.3g} images; take a share '
            f'such as {1 / max(2, round(1 / sampling)):.4g}, of which it is a whole number'
        )
    if images > MOST:
        raise FCNError(
            f'--sample {sampling}: a batch of {batch} would grow to more than {MOST} images; take a '
            'smaller one'
        )
    return round(images)
