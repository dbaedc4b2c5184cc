"""The example notebook runs from the first cell to the last, with a fraction of its iterations."""

import re

import pytest
from support import ROOT

nbformat = pytest.importorskip('nbformat')
nbclient = pytest.importorskip('nbclient')


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv('FCN_CLONE', str(ROOT))
    monkeypatch.setenv('FCN_NOTEBOOK_SCALE', '0.02')
    notebook = nbformat.read(ROOT / 'examples' / 'miniature.ipynb', as_version=4)
    assert not any(cell.get('outputs') for cell in notebook.cells)  # Outputs are not committed.
    for cell in notebook.cells:
        cell.source = cell.source.replace(
            'train=200, val=50, objects=1000', 'train=12, val=6, objects=60'
        )
    client = nbclient.NotebookClient(
        notebook, timeout=200, resources={'metadata': {'path': str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get('outputs', [])]
    assert not [output for output in outputs if output.output_type == 'error']
    assert any('image/png' in output.get('data', {}) for output in outputs)
    text = ''.join(output.get('text', '') for output in outputs)
    assert re.search(r'mini-fcn8s +\d+ iterations +mean IU', text)
    assert re.search(r'score_fr +stride +32 +receptive field +404', text)
