"""FCN-8s by the CVPR paper's recipe: nets/voc-fcn8s/net.py, with upsampling between the
strides learned.

`python nets/voc-fcn8s-cvpr/net.py` writes its prototxts next to it.
"""

from fcn.prototxts import write_net

if __name__ == '__main__':
    write_net(__file__)
