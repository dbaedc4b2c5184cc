"""Sets of the user's own images and classes, in whatever form a tool exported them.

`layouts` finds out what a folder holds and makes a `manifest` of it, `masks` and `annotations` read
labels, `legends` the names and colours of classes, and `dataset` is what the data layer reads.
Nothing here imports caffe.
"""
