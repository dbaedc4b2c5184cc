"""VGG-16, the ILSVRC classifier that most FCNs come from (nets/vgg.py).

`python nets/ilsvrc-vgg16/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
