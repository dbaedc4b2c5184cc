"""Our part of the engine, which lies in the same library as Caffe's own.

Caffe's __init__.py imports this module as its last step, so `import caffe` is enough to get our
layers in the place of Caffe's. CAFFE_CPU=stock in the environment keeps Caffe's.
"""

from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType

from caffe import _caffe


def _load_native() -> ModuleType:
    """Return caffe._fcn_native, a second module in the library of caffe._caffe."""
    loader = ExtensionFileLoader('caffe._fcn_native', _caffe.__file__)
    module = module_from_spec(ModuleSpec(loader.name, loader, origin=_caffe.__file__))
    loader.exec_module(module)
    return module


_native = _load_native()
_native.register_layers()

register_layers = _native.register_layers  # calls after the first do nothing
release_activations = _native.release_activations
set_threads = _native.set_threads
threads = _native.threads
