"""Writes the prototxts of voc-fcn32s-fixed-googlenet beside this file: its row in nets/table.py says what it is."""

from nets import write_net

write_net(__file__)
