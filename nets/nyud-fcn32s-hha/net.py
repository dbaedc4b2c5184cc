"""FCN-32s of HHA, 40 classes: the layers are those of nets/voc-fcn32s/net.py.

`python nets/nyud-fcn32s-hha/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
