"""What the sources may not do: run text of users, load objects, start shells, unpack what an archive says."""

import ast
import subprocess

import pytest
from support import ROOT

FILES = [
    ROOT / name
    for name in subprocess.run(
        ['git', 'ls-files', '*.py'], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if (ROOT / name).exists()
]
FILES = FILES or [
    file for file in ROOT.rglob('*.py') if not any(part.startswith('.') for part in file.parts)
]
OURS = [file for file in FILES if 'tests' not in file.relative_to(ROOT).parts]
BUILTINS = {'eval', 'exec', 'compile', '__import__', 'input'}
MODULES = {'pickle', 'cPickle', 'dill', 'joblib', 'shelve', 'marshal', 'code', 'codeop', 'runpy'}
CALLS = {
    ('os', 'system'),
    ('os', 'popen'),
    ('subprocess', 'getoutput'),
    ('subprocess', 'getstatusoutput'),
    ('shutil', 'unpack_archive'),
    ('yaml', 'load'),
    ('torch', 'load'),
}
# A tar's or zip's own unpacking takes names from the archive.
UNPACKING = {'extractall', 'extract'}


def offences(text):
    """[(line, what)] of what a source does that it may not."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or '']
            )
            found += [(node.lineno, name) for name in names if name.partition('.')[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in BUILTINS:
            found.append((node.lineno, function.id))
        if isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else None
            filtered = any(
                word.arg == 'filter'
                and isinstance(word.value, ast.Constant)
                and word.value.value == 'data'
                for word in node.keywords
            )
            if (owner, function.attr) in CALLS or (function.attr in UNPACKING and not filtered):
                found.append((node.lineno, function.attr))
        for word in node.keywords:  # only a plain False is surely none
            if (
                word.arg in ('shell', 'allow_pickle')
                and getattr(word.value, 'value', True) is not False
            ):
                found.append((node.lineno, word.arg))
    return found


@pytest.mark.parametrize(
    'text',
    [
        'eval("1")',
        'exec(text)',
        'import pickle',
        'from pickle import loads',
        'np.load(file, allow_pickle=True)',
        'subprocess.run(text, shell=True)',
        'subprocess.run(text, shell=flag)',
        'os.system(text)',
        'archive.extractall(folder)',
        'archive.extract(name)',
        'shutil.unpack_archive(file)',
        '__import__(name)',
    ],
)
def test_the_check_sees_it(text):
    assert offences(text)


@pytest.mark.parametrize(
    'text',
    [
        'net.eval()',
        'subprocess.run([program], shell=False)',
        'np.load(file)',
        'archive.extractall(folder, filter="data")',
        're.compile(text)',
    ],
)
def test_the_check_lets_pass(text):
    assert not offences(text)


def test_no_source_runs_what_a_user_says():
    assert len(OURS) > 50
    found = [
        f'{file.relative_to(ROOT)}:{line}: {what}'
        for file in OURS
        for line, what in offences(file.read_text(encoding='utf-8'))
    ]
    assert not found, '\n'.join(found)
