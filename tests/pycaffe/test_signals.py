"""Signals that arrive while the engine computes."""


def test_a_storm_of_signals_damages_nothing(command):
    """oneDNN's stack pointer may lie in the heap, where a signal's frame must not be written."""
    process = command(
        '-c',
        """
import signal
import tempfile
from fcn.engine import caffe
from fcn.nets import deploy_net, find

with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
    file.write(str(deploy_net(find('mini-fcn32s')).to_proto()))
    file.flush()
    net = caffe.Net(file.name, caffe.TEST)
net.blobs['data'].reshape(1, 3, 64, 80)
signals = []
signal.signal(signal.SIGALRM, lambda *_: signals.append(0))
signal.setitimer(signal.ITIMER_REAL, 3e-4, 3e-4)
for _ in range(150):
    net.forward()
signal.setitimer(signal.ITIMER_REAL, 0)
assert len(signals) > 20
""",
    )
    assert process.returncode == 0, process.stderr
