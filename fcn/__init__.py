"""Fully Convolutional Networks for Semantic Segmentation, on BVLC Caffe."""

__version__ = '2.0.0'
