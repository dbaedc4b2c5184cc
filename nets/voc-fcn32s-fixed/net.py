"""FCN-32s of which only the score is learned: the layers are those of nets/voc-fcn32s/net.py.

`python nets/voc-fcn32s-fixed/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
