"""What the commands' arguments may be, and how a mistake is told."""

import argparse

import pytest

from fcn.cli import integer, positive
from fcn.commands import prepare, score, solve
from fcn.commands import surgery as surgery_command
from fcn.solvers import solver_prototxt
from fcn.text import SCRIPTS, command_line, printable, shortened


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--iterations', '1' + '0' * 30], 'is not a whole number from 1 to 2147483647'),
        (['--batch', '1' + '0' * 12], 'is not a whole number'),
        (['--seed', '-1'], 'is not a whole number from 0'),
        (['--seed', str(2**63)], 'is not a whole number'),
        (['--base-lr', 'inf'], 'is not between'),
        (['--base-lr', '1e-300'], 'is not between'),
        (['--gpu', '-5'], 'is not a whole number from -1'),
        (['--data', ''], 'an empty argument for --data'),
        (['--weights='], 'an empty argument'),
        (['--runs', 'a\udcff'], r'a\udcff is not named in UTF-8'),
    ],
)
def test_impossible_arguments_of_solve(arguments, words, capsys):
    with pytest.raises(SystemExit, match='2'):
        solve.parse(arguments)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--images', '0'], ['--year', '9' * 30], ['--out', '']])
def test_impossible_arguments_of_score(arguments):
    with pytest.raises(SystemExit, match='2'):
        score.parse(arguments)


def test_numbers_within_their_bounds():
    assert integer(0)('7') == 7 and positive('1e-14') == 1e-14
    for convert, text in (
        (integer(1), '0'),
        (integer(0, 9), '10'),
        (positive, 'nan'),
        (positive, '-1'),
    ):
        with pytest.raises(argparse.ArgumentTypeError):
            convert(text)


def test_a_name_starts_no_line_of_its_own():
    assert (
        shortened('a' * 100) == 'a' * 100
        and shortened('a' * 10**6 + 'b', 100) == 'a' * 50 + ' … ' + 'a' * 49 + 'b'
    )
    assert printable('a\nb\x1b[2J×–\udcff') == r'a\nb\x1b[2J×–\udcff'


def test_messages_name_commands_as_the_user_starts_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for started, expected in (
        ('solve.py', 'python solve.py'),
        ('../fcn/prepare.py', 'python solve.py'),
        ('fcn solve', 'fcn solve'),
        ('/usr/bin/pytest', 'fcn solve'),
        ('', 'fcn solve'),
    ):
        monkeypatch.setattr('sys.argv', [started])
        assert command_line('solve') == expected
    (tmp_path / 'solve.py').touch()  # such as one of the authors' folders has
    assert command_line('solve') == 'fcn solve'
    for name in SCRIPTS:
        (tmp_path / f'{name}.py').touch()
    assert command_line('solve') == 'python solve.py'
    assert command_line('surgery') == 'fcn surgery'
    monkeypatch.setattr('sys.argv', ['fcn score'])
    assert command_line('solve') == 'fcn solve'


def test_a_folder_of_any_name_stays_one_string_of_the_solver_file():
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    name = 'a"b\\c\nmax_iter: 7\té'
    solver = text_format.Parse(
        solver_prototxt('mini-fcn32s', train_net=name), caffe_pb2.SolverParameter()
    )
    assert solver.train_net == name and solver.max_iter != 7


def test_a_solver_file_has_numbers_to_their_last_digit():
    text = solver_prototxt('mini-fcn32s', momentum=0.9999999, base_lr=1.2345678e-7)
    assert 'momentum: 0.9999999\n' in text and 'base_lr: 1.2345678e-07\n' in text


def test_a_mistake_in_the_arguments_is_one_line(capsys):
    for parse, arguments in (
        (solve.parse, ['--itertions', '4']),
        (solve.parse, ['--iterations', 'x\ny']),
        (prepare.parse, ['--nonsense']),
        (surgery_command.parse, ['init', 'mini-fcn32s']),
    ):
        with pytest.raises(SystemExit, match='2'):
            parse(arguments)
        said = capsys.readouterr().err
        assert said.count('\n') == 1 and said.endswith('--help says what may be given\n')
