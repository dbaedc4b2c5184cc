"""What `serve.py` refuses before it listens."""

import socket
from pathlib import Path

import pytest

from fcn.commands import serve
from fcn.errors import FCNError

pytest.importorskip('fastapi')


@pytest.mark.parametrize('word', ['nowhere', 'voc-fcn8s=nowhere', 'ilsvrc-vgg16=x', 'voc-fcn9s=x'])
def test_what_is_no_folder_and_no_net_is_refused(word: str) -> None:
    with pytest.raises(FCNError, match=r'nowhere|classifier|voc-fcn9s'):
        serve.main([word])


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FCNError, match=f'127.0.0.1:{port}'):
            serve.main([str(tmp_path), '--port', str(port)])


@pytest.mark.parametrize('options', [['--token', 'a b c d'], ['--token', 'abc'], ['--queue', '0']])
def test_bad_options_end_with_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        serve.main(options)
    assert ended.value.code == 2
