"""FCN-16s with 60 classes: the layers are those of nets/voc-fcn16s/net.py.

`python nets/pascalcontext-fcn16s/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
