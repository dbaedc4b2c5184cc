"""AlexNet as Caffe's CaffeNet, the ILSVRC classifier (nets/alexnet.py).

`python nets/ilsvrc-alexnet/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
