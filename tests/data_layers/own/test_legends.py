"""Names and colours of classes, in the files of tools, and in files that are none."""

from pathlib import Path

import pytest

from fcn.data_layers.own.legends import find_legend, read_legend
from fcn.errors import DataError

NAMES = 'road', 'Größe', 'no'
COLOURS = (128, 64, 128), (0, 0, 1), (255, 0, 10)
COLOURED = {
    'labelmap.txt': '# label:color_rgb:parts:actions\nroad:128,64,128::\nGröße:0,0,1:a,b:c\n'
    'no:255,0,10::',
    'a.txt': '128 64 128 road\n0 0 1\tGröße\n255 0 10 no\n',
    'a.csv': 'road,128,64,128\nGröße,0,0,1\nno,255,0,10\n',
    'b.csv': 'r;g;b;name\n128;64;128;road\n0;0;1;Größe\n255;0;10;"no"\n',
    'c.csv': 'id,Class,Red,Green,Blue\n7,road,128,64,128\n8,Größe,0,0,1\n9,no,255,0,10\n',
    'a.json': '{"road": [128, 64, 128], "Größe": "#000001", "no": [255, 0, 10]}',
    'b.json': '[{"name": "road", "color": [128, 64, 128]}, {"name": "Größe", "color": "#000001"},'
    '{"name": "no", "color": [255, 0, 10]}]',
    'c.json': '{"classes": [{"title": "road", "color": "#804080"},'
    '{"title": "Größe", "color": "#000001"}, {"title": "no", "color": "#FF000a"}]}',
}
NAMED = {
    'classes.txt': 'road\r\nGröße\r\n\r\nno\r\n',
    'nfd.txt': 'road\nGro\u0308ße\nno',
    'd.csv': 'name\nroad\nGröße\nno\n',
    'd.json': '["road", "Größe", "no"]',
    'numbers.txt': '1 Größe\n0 road\n2 no\n',
    'numbers.csv': 'id,name\n2,no\n0,road\n1,Größe\n',
    'id2label.json': '{"0": "road", "1": "Größe", "2": "no"}',
    'label2id.json': '{"no": 2, "road": 0, "Größe": 1}',
    'data.yaml': 'path: ..\nnc: 3\nnames: [road, Größe, no]\n',
    'list.yml': 'names:\n- road\n- "Größe"\n- no\n',
    'numbers.yaml': "names:\n  2: no\n  0: road\n  1: 'Größe'\n",
}


@pytest.mark.parametrize('coding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('name', [*COLOURED, *NAMED])
def test_legends(tmp_path: Path, name: str, coding: str) -> None:
    if name.endswith(('.yaml', '.yml')):
        pytest.importorskip('yaml')
    (tmp_path / name).write_bytes((COLOURED | NAMED)[name].encode(coding))
    legend = read_legend(tmp_path / name)
    assert legend.names == NAMES
    assert legend.colours == (COLOURS if name in COLOURED else None)


def test_numbers_are_the_values_of_masks(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_text('7 road\n0 other\n')
    assert read_legend(tmp_path / 'a.txt') == (('other', 'road'), None, (0, 7))
    (tmp_path / 'labels.txt').write_text('__ignore__\n_background_\nroad\n')
    assert read_legend(tmp_path / 'labels.txt').values() == (-1, 0, 1)


def test_the_legend_of_a_folder_is_one_with_colours(tmp_path: Path) -> None:
    assert find_legend(None, tmp_path) is None
    (tmp_path / 'Classes.TXT').write_text('a\nb')
    (tmp_path / 'labelmap.txt').write_text('a:1,2,3::\nb:4,5,6::')
    found = find_legend(None, tmp_path)
    assert found is not None and found[0] == 'labelmap.txt'


HOSTILE = {
    'empty.txt': '',
    'twice.txt': 'a\nb\na',
    'control.txt': 'a\x1b[2J',
    'long.txt': 'a' * 10_000,
    'many.txt': '\n'.join(map(str, range(5000))),
    'half.txt': 'a:1,2,3::\nb',
    'colour.txt': 'a:1,2,256::',
    'same.txt': 'a:1,2,3::\nb:1,2,3::',
    'huge.txt': 'a:1,2,99999999999999999999999999::',
    'big.txt': 'a\n' * 2_000_000,
    'empty.csv': '',
    'head.csv': 'name,r,g,b\n',
    'short.csv': 'name,r,g,b\na,1,2',
    'minus.csv': 'a,1,2,-3',
    'half.csv': 'a,1',
    'quote.csv': 'a,1,2,3\n"b,1,2,3',
    'text.json': 'road',
    'deep.json': '[' * 100_000,
    'nan.json': '{"a": [NaN, 1, 2]}',
    'float.json': '{"a": [0.5, 1, 2]}',
    'true.json': '{"a": [true, 1, 2]}',
    'number.json': '7',
    'nested.json': '[["a"]]',
    'some.json': '[{"name": "a", "color": [1, 2, 3]}, "b"]',
    'none.json': '[{"color": [1, 2, 3]}]',
    'digits.json': '{"a": [' + '9' * 5000 + ', 1, 2]}',
    'none.yaml': 'nc: 3',
    'text.yaml': 'road',
    'words.yaml': 'names: {a: b}',
    'numbers.txt': '0 a\n0 b',
    'large.json': '{"a": 1000000}',
    'open.yaml': 'names: [a, b',
    'deep.yaml': '[' * 5000,
    'bomb.yaml': 'a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nnames: [*c, *c]',
    'self.yaml': 'names: &a [*a]',
}


@pytest.mark.parametrize('name', HOSTILE)
def test_what_is_no_legend_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    if name.endswith('.yaml'):
        pytest.importorskip('yaml')
    (tmp_path / name).write_text(HOSTILE[name])
    with pytest.raises(DataError) as caught:
        read_legend(tmp_path / name)
    text = str(caught.value)
    assert str(tmp_path / name) in text and text.isprintable() and len(text) < 600


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    pytest.importorskip('yaml')
    made = tmp_path / 'made'
    (tmp_path / 'a.yaml').write_text(f'names: !!python/object/apply:os.mkdir ["{made}"]')
    read_legend(tmp_path / 'a.yaml')
    assert not made.exists()


@pytest.mark.parametrize('content', [b'\xff\xfea', b'a\xff', b'\x89PNG\r\n\x1a\n\x00'])
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, content: bytes) -> None:
    for name in ('a.txt', 'a.csv', 'a.json'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError):
            read_legend(tmp_path / name)


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / 'classes.txt'):
        with pytest.raises(DataError):
            read_legend(path)
