"""What the sources may not do: run a user's text, load pickles, start shells, trust archives."""

import ast
import subprocess
from pathlib import Path

import pytest
from support import ROOT

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
# These take names from the archive, unless a filter checks them.
UNPACKING = {'extractall', 'extract'}
KEYWORDS = {'shell', 'allow_pickle'}
# What is none: an unpickler that finds nothing but what builds tensors.
ALLOWED = {('surgery/torch_files.py', 'pickle')}


def sources() -> list[Path]:
    """Return the Python files that are not tests: those of the repository, if this is a clone."""
    command = ['git', 'ls-files', '*.py']
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    files = [ROOT / name for name in listed.stdout.split() if (ROOT / name).exists()]
    files = files or [
        file
        for file in ROOT.rglob('*.py')
        if not any(part.startswith('.') for part in file.relative_to(ROOT).parts)
    ]
    return [file for file in files if 'tests' not in file.relative_to(ROOT).parts]


def offences(text: str) -> list[tuple[int, str]]:
    """Return (line, what) of each thing that a source may not do."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or '']
        else:
            names = []
        found += [(node.lineno, name) for name in names if name.partition('.')[0] in MODULES]
        if isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _bad_call(node)]
    return found


def _bad_call(node: ast.Call) -> list[str]:
    """Return what is wrong with a call."""
    found, function = [], node.func
    if isinstance(function, ast.Name) and function.id in BUILTINS:
        found.append(function.id)
    if isinstance(function, ast.Attribute):
        owner = function.value.id if isinstance(function.value, ast.Name) else None
        filtered = any(
            word.arg == 'filter' and getattr(word.value, 'value', None) == 'data'
            for word in node.keywords
        )
        if (owner, function.attr) in CALLS or (function.attr in UNPACKING and not filtered):
            found.append(function.attr)
    for word in node.keywords:  # Only a plain False is surely none.
        if word.arg in KEYWORDS and getattr(word.value, 'value', True) is not False:
            found.append(word.arg)
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
def test_the_check_sees_it(text: str) -> None:
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
def test_the_check_lets_it_pass(text: str) -> None:
    assert not offences(text)


def test_no_source_runs_a_users_text() -> None:
    files = sources()
    assert len(files) > 50
    found = [
        f'{file.relative_to(ROOT)}:{line}: {what}'
        for file in files
        for line, what in offences(file.read_text(encoding='utf-8'))
        if (str(file.relative_to(ROOT)), what) not in ALLOWED
    ]
    assert not found, '\n'.join(found)
