"""What runs in the engine's process: it reads a task, segments an image, writes the arrays and the
pictures to the task's folder, and says how far it is.

A task and an answer are a line of JSON each, over a socket. The process ends when the socket does.
Caffe ends a process on a failed check; then it is this one, and the server starts another.
"""

import json
import os
import socket
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import text_format
from PIL import Image

from fcn.data_layers import Source, evenly_spread, open_image, read_image
from fcn.data_layers.images import count_values
from fcn.data_layers.registry import dataset_class
from fcn.engine import caffe, set_threads
from fcn.errors import DataError, FCNError, RunError
from fcn.inference import Images, forward, predict, softmax
from fcn.io import read_text
from fcn.nets import NetConfig
from fcn.segmenter import Segmenter, load

HELD = 3  # nets in memory
INTERVAL = 0.1  # seconds between reports
BAND = 256  # rows whose probabilities are made bytes at once
QUALITY = 90  # of the JPEG that shows the image
MAX_PROTOTXT = 4 << 20  # bytes

Message = dict[str, Any]


class Seen(NamedTuple):
    """A picture to segment, H×W×3 uint8, and its true labels, H×W uint8, if there are any."""

    image: np.ndarray
    truth: np.ndarray | None = None
    name: str = ''


def main(descriptor: str, options: str) -> None:
    """Serve the socket of this number, with the options in JSON: gpu, threads, max_pixels,
    max_probabilities."""
    connection = socket.socket(fileno=int(descriptor))
    given = json.loads(options)
    if given['threads']:
        set_threads(given['threads'])
    engine = Engine(connection, given['gpu'], given['max_pixels'], given['max_probabilities'])
    engine.send(ready=True, pid=os.getpid())
    with connection.makefile('rb') as lines:
        for line in lines:
            engine.answer(json.loads(line))


class Engine:
    """Computes one task after another; the nets of the last ones stay loaded."""

    def __init__(
        self, connection: socket.socket, gpu: int | None, max_pixels: int, max_probabilities: int
    ) -> None:
        self._connection, self._gpu, self._max_pixels = connection, gpu, max_pixels
        self._max_probabilities = max_probabilities
        self._loaded: OrderedDict[tuple[str, str, int], Segmenter] = OrderedDict()
        self._told = 0.0

    def send(self, **message: Any) -> None:
        """Send a message. A server that has gone ends the process."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b'\n')
        except OSError:
            raise SystemExit(0) from None

    def answer(self, task: Message) -> None:
        """Do a task and send what came of it: `done`, or an `error`, which is the user's."""
        folder = Path(task['folder'])
        try:
            self.send(task=task['task'], done=self._segment(task, folder))
        except (FCNError, OSError, MemoryError) as error:
            text = str(error) or 'there is not enough memory for this image; scale it down'
            text = text.replace(str(folder / 'upload'), 'the image')
            self.send(task=task['task'], error=text)

    def _segment(self, task: Message, folder: Path) -> Message:
        began = time.monotonic()
        seen = self._seen(task, folder)
        height, width = seen.image.shape[:2]
        decoded = time.monotonic() - began
        began = time.monotonic()
        Image.fromarray(seen.image).save(folder / 'image.jpg', quality=QUALITY)
        np.save(folder / 'image.npy', seen.image)
        drawn = time.monotonic() - began
        results = []
        for index, net in enumerate(task['nets']):
            results.append(self._by_net(task, index, net, seen, folder))
        if seen.truth is not None:
            save_view(folder / 'truth.png', seen.truth, np.full_like(seen.truth, 255))
        return {
            'width': width,
            'height': height,
            'name': seen.name,
            'truth': seen.truth is not None,
            'decode': decoded,
            'draw_image': drawn,
            'results': results,
        }

    def _by_net(self, task: Message, index: int, net: Message, seen: Seen, folder: Path) -> Message:
        """Segment by one net and write what is shown of it; return what the page is told."""
        count = len(task['nets'])

        def report(share: float, layer: str) -> None:
            now = time.monotonic()
            if now - self._told >= INTERVAL:
                self._told = now
                self.send(
                    task=task['task'], share=(index + share) / count, layer=layer, net=net['id']
                )

        self.send(task=task['task'], share=index / count, layer='', net=net['id'])
        segmenter = self._load(net)
        height, width = seen.image.shape[:2]
        classes = sum(map(len, segmenter.config.classes.values()))
        keep = classes * height * width <= self._max_probabilities
        began = time.monotonic()
        arrays = segmenter.compute(
            Classify(keep), seen.image, tile=task.get('tile'), floats=2, progress=report
        )
        forwarded = time.monotonic() - began
        began = time.monotonic()
        labels = {}
        for label, names in segmenter.config.classes.items():
            stem = folder / f'{index}.{label}'
            values = arrays[f'{label} labels']
            for kind in ('labels', 'probabilities') if keep else ('labels',):
                np.save(f'{stem}.{kind}.npy', arrays[f'{label} {kind}'])
            save_view(Path(f'{stem}.view.png'), values, arrays[f'{label} best'])
            counts = count_values(values)[: len(names)]
            labels[label] = {
                'classes': names,
                'colours': segmenter.config.dataset.colours_of(label).tolist(),
                'shares': [int(count) / values.size for count in counts],
                'probabilities': keep,
            }
        return {
            'net': net['id'],
            'name': segmenter.name,
            'weights': segmenter.weights.name,
            'labels': labels,
            'forward': forwarded,
            'draw': time.monotonic() - began,
        }

    def _seen(self, task: Message, folder: Path) -> Seen:
        """Return the picture that a task is about: an upload, or an image of a run's validation."""
        if 'run' in task:
            return validation_image(Path(task['run']), task['image'])
        upload = folder / 'upload'
        with open_image(upload) as image:
            if image.width * image.height > self._max_pixels:
                raise DataError(
                    f'{upload}: is {image.width}×{image.height}, and this server takes '
                    f'{self._max_pixels / 1e6:g} megapixels; scale it down'
                )
        return Seen(read_image(upload, rotate=True))

    def _load(self, net: Message) -> Segmenter:
        """Return the segmenter of a net, loaded now or before."""
        origin = Path(net['run'] or net['weights'])
        if net['run']:
            snapshot = net['snapshot']
            # A run that goes on has another best one soon.
            stamp = (origin / 'snapshots').stat().st_mtime_ns
            key = (str(origin), str(snapshot), stamp)
        else:
            key = (str(origin), net['net'], origin.stat().st_mtime_ns)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        while len(self._loaded) >= HELD:
            self._loaded.popitem(last=False)
        # Pictures come in many sizes: what pays is to keep nothing for one of them.
        if net['run']:
            segmenter = load(origin, snapshot=snapshot, gpu=self._gpu, frame_cache=False)
        else:
            segmenter = load(net['net'], origin, gpu=self._gpu, frame_cache=False)
        if len(segmenter.inputs) > 1:
            raise RunError(
                f'{segmenter.name}: sees {" and ".join(segmenter.inputs)}, and the page takes one '
                'picture; use infer.py'
            )
        self._loaded[key] = segmenter
        return segmenter


class Classify:
    """Computes, for fcn.Segmenter.compute, of each label the classes, H×W uint8, and in 255ths the
    probability of that class, H×W uint8; if they are to be kept those of all, C×H×W uint8."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep

    def __call__(self, net: caffe.Net, config: NetConfig, images: Images) -> dict[str, np.ndarray]:
        arrays = {}
        for label, scores in forward(net, config, images).items():
            arrays[f'{label} labels'] = predict(scores[np.newaxis])[0]
            best = np.empty(scores.shape[1:], np.uint8)
            every = np.empty(scores.shape if self._keep else (0, *scores.shape[1:]), np.uint8)
            for top in range(0, scores.shape[1], BAND):
                band = slice(top, top + BAND)
                probabilities = softmax(scores[:, band])
                probabilities *= 255
                np.rint(probabilities, out=probabilities)
                best[band] = probabilities.max(0)
                if self._keep:
                    every[:, band] = probabilities
            arrays[f'{label} best'] = best
            if self._keep:
                arrays[f'{label} probabilities'] = every
        return arrays


def save_view(path: Path, labels: np.ndarray, best: np.ndarray) -> None:
    """Write what the page paints: an RGB PNG of the class, its probability in 255ths, and 0."""
    pixels = np.dstack([labels, best, np.zeros_like(labels)])
    Image.fromarray(pixels).save(path, compress_level=1)


def validation_image(run: Path, index: int) -> Seen:
    """Return an image of a run's validation, and its true labels, if they lie here.

    Raises RunError or DataError if they do not.
    """
    source = validation_source(run)
    names = evenly_spread(source.names(), dict(source.options).get('limit'))
    data = source.open()
    name = names[index % len(names)]
    image = data.image(name)
    if image.ndim != 3:
        raise DataError(f'{run}: is validated on depth, which is no picture')
    truth = data.label(name) if data.labels else None
    if truth is not None and truth.shape != image.shape[:2]:
        truth = None
    return Seen(image, truth, name)


def validation_source(run: Path) -> Source:
    """Return the source of a run's validation, from its val.prototxt. Raises RunError."""
    file = run / 'val.prototxt'
    net = caffe.proto.caffe_pb2.NetParameter()
    try:
        text_format.Parse(read_text(file, MAX_PROTOTXT), net)
        spec = json.loads(net.layer[0].python_param.param_str)
        source = Source(spec.pop('dataset'), spec.pop('root'), spec.pop('split'), (*spec.items(),))
        known = dataset_class(source.dataset) is not None
    except (text_format.ParseError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise RunError(f'{file}: does not say what the run is validated on') from error
    if not known:
        raise RunError(f'{file}: names the data set {source.dataset}, which is not known here')
    return source
