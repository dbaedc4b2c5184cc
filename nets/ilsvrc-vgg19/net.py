"""VGG-19, the ILSVRC classifier (nets/vgg.py).

`python nets/ilsvrc-vgg19/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
