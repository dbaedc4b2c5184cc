"""What a net is: its backbone, head, data set, starting weights and recipe, as data."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from caffe import NetSpec
from caffe.net_spec import Top

from fcn.data_layers import DATASETS, DatasetConfig


class Backbone(Protocol):
    """The classifier that an FCN comes from (`vgg`, `alexnet`, `googlenet`).

    `normalize_loss` says whether its loss is the mean over pixels, `score_lr` how fast score layers
    learn relative to the rest; `input_size` is the side of the classifier's image, in pixels.
    """

    @property
    def normalize_loss(self) -> bool: ...
    @property
    def score_lr(self) -> float: ...
    @property
    def input_size(self) -> int: ...
    def upsampling_kernel(self, stride: int) -> int: ...
    def convolutional(self, n: NetSpec, image: Top, dropout: bool = True) -> Top: ...
    def classifier(self, n: NetSpec, image: Top, classes: int) -> Top: ...


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    """A net of the table.

    `about` says in a few words what it is. `head` names the net whose net.py spells the layers
    after the backbone; it is None for a classifier. `data` names a data set of
    data_layers.DATASETS; `inputs` are those of its inputs that the net sees, by default all, and
    `fusion` says where they join: 'early', as channels of one image, or 'late', as scores. `labels`
    are the labels that it scores, by default all.

    `parents` are the nets whose weights this one starts from, each with the stream that it becomes,
    '' for a net of one stream. `recipe` names a recipe of solvers.RECIPES; `base_lr` and `max_iter`
    are its numbers for this net. A net without `max_iter` is fetched from `url`, where its weights
    are published, not trained. `published` is the mean IU in percent that the authors, or others
    with the authors' weights, report.

    `learn_upsampling` lets the upsampling before the last be learned, as in the CVPR paper, and
    `fuse_by` is how scores are fused: by their SUM, or their MAX. `own` is a set of the user's own
    images that the net learns in the place of `data`.
    """

    about: str
    backbone: Backbone
    data: str
    head: str | None = None
    inputs: tuple[str, ...] | None = None
    fusion: Literal['early', 'late'] | None = None
    labels: tuple[str, ...] | None = None
    parents: dict[str, str] = field(default_factory=dict)
    recipe: str = 'heavy'
    base_lr: float | None = None
    max_iter: int | None = None
    url: str | None = None
    published: float | None = None
    learn_upsampling: bool = False
    fuse_by: Literal['SUM', 'MAX'] = 'SUM'
    own: DatasetConfig | None = None

    @property
    def dataset(self) -> DatasetConfig:
        """What the net learns: its data set of the table, or a set of the user's own."""
        return self.own or DATASETS[self.data]

    @property
    def is_classifier(self) -> bool:
        """Whether the net scores whole images, not pixels."""
        return self.head is None

    @property
    def is_published(self) -> bool:
        """Whether there are figures or weights of this net to compare with, so that its prototxts
        are kept for plain Caffe."""
        return self.url is not None or self.published is not None

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams whose scores are fused late; ('',) for a net of one stream."""
        return self.input_names if self.fusion == 'late' else ('',)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs that the net sees, by their names in the data set."""
        return self.inputs or tuple(self.dataset.inputs)

    @property
    def input_blobs(self) -> dict[str, str]:
        """The blob that each input enters by: the only input of a net is `data`."""
        names = self.input_names
        return {name: name if len(names) > 1 else 'data' for name in names}

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The class names of each label that the net scores."""
        labels = self.dataset.labels
        return {label: labels[label] for label in self.labels or labels}

    @property
    def score_blobs(self) -> dict[str, str]:
        """The blob that scores the classes of each label, N×classes×H×W."""
        return {label: f'score{self.suffix(label)}' for label in self.classes}

    @property
    def normalize_loss(self) -> bool:
        """Whether the loss is the mean over pixels, as the CVPR recipe wants it, or their sum."""
        return self.recipe == 'cvpr' or self.backbone.normalize_loss

    def suffix(self, label: str) -> str:
        """How the layers of a label's head end on a data set with several labels, as published."""
        return f'_{label}' if len(self.dataset.labels) > 1 else ''
