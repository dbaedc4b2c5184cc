"""GoogLeNet, the ILSVRC classifier (nets/googlenet.py).

`python nets/ilsvrc-googlenet/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
