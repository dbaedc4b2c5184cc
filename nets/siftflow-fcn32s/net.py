"""FCN-32s with two heads on one backbone, each as nets/voc-fcn32s/net.py spells it: the layers of
the semantic one end in _sem, those of the geometric one in _geo.

`python nets/siftflow-fcn32s/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
