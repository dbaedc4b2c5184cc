"""The folder that a sweep works in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import build

from fcn.commands import prepare
from fcn.data_layers import DATASETS
from miniature.generate import generate
from miniature.sets import generate_nyud, generate_siftflow


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with every data set, prepared from an archive in its own layout.

    Each set has a list of one image, named one.
    """
    root = tmp_path_factory.mktemp('sweep')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in ('sbd', 'voc', 'pascal-context', 'nyud', 'siftflow'):
            archives = build(name, root / 'archives' / name, count=3)
            prepare.main([name, *(word for path in archives for word in ('--from', str(path)))])
        generate(root / 'data' / 'mini', train=2, val=2, objects=40)
        generate_nyud(root / 'data' / 'mini-nyud', trainval=2, test=2)
        generate_siftflow(root / 'data' / 'mini-siftflow', trainval=2, test=2)
        for dataset in DATASETS.values():
            if dataset.train and 'batch' not in dict(dataset.train.options):
                lists = dataset.kind(dataset.val.root, dataset.val.split)
                file = lists.root / lists.split_file.format(split='one')
                file.write_text(f'{lists.names[0]}\n')
        yield root
    shutil.rmtree(root)
