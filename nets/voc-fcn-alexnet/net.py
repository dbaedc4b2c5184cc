"""FCN-32s of AlexNet (nets/alexnet.py): nets/voc-fcn32s/net.py spells the layers after it.

`python nets/voc-fcn-alexnet/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
