"""The layers of a net that score classes, which start at zero (section 4.1)."""

import caffe

# The types of layers that bring scores to the image, compare them with the truth or choose a class.
AFTER_SCORES = {
    'Accuracy',
    'ArgMax',
    'Crop',
    'Deconvolution',
    'Eltwise',
    'InfogainLoss',
    'SigmoidCrossEntropyLoss',
    'Silence',
    'Softmax',
    'SoftmaxWithLoss',
    'Split',
}

# An inner product scores only if it has a name by which VGG, AlexNet and Caffe's examples of
# fine-tuning call it. GoogLeNet's loss3/classifier is never learned here: a file that lacks it
# belongs to another net, and zeros would hide that.
INNER_PRODUCT_NAMES = ('fc8', 'score')


def scoring_layers(net: caffe.Net) -> set[str]:
    """Return the names of the layers of `net` that score classes.

    They are the 1×1 convolutions that only upsampling, crops, sums, softmax and losses follow, and
    the inner products with the name of a score layer.
    """
    scoring: set[str] = set()
    feeds_scores_only: dict[str, bool] = {}  # of each blob, as far as its readers have been seen
    for name in reversed(list(net._layer_names)):
        layer, tops = net.layer_dict[name], net.top_names[name]
        only_scores = all(feeds_scores_only.pop(top, True) for top in tops)
        if layer.type == 'InnerProduct':
            is_scoring = name.startswith(INNER_PRODUCT_NAMES)
        else:
            is_scoring = layer.type == 'Convolution' and only_scores and _is_1x1(layer)
        if is_scoring:
            scoring.add(name)
        for bottom in net.bottom_names[name]:
            feeds_scores_only[bottom] = (
                feeds_scores_only.get(bottom, True) and only_scores and layer.type in AFTER_SCORES
            )
    return scoring


def _is_1x1(layer: caffe.Layer) -> bool:
    return tuple(layer.blobs[0].shape)[2:] == (1, 1)
