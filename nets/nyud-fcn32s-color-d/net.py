"""FCN-32s of colour and depth, fused early: conv1_1_bgrd sees both, and the other layers are those
of nets/voc-fcn32s/net.py.

`python nets/nyud-fcn32s-color-d/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
