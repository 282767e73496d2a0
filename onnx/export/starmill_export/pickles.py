"""Unpickling behind an allow-list: a pickle may build arrays and records, and call nothing else."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray


class Record:
    """A bare holder for the attributes of an object whose class is not imported."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


def encoded(text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes: latin-1, and nothing else."""
    if encoding != "latin1":
        raise ValueError(f"refused to encode as {encoding}: only latin1 is on the allow-list")
    return text.encode("latin1")


NUMPY_GLOBALS = {
    ("_codecs", "encode"): encoded,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy.core.multiarray", "scalar"): multiarray.scalar,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "scalar"): multiarray.scalar,
}
"""What arrays are made of, by the names of numpy 1 and of numpy 2."""


class AllowListUnpickler(pickle.Unpickler):
    """Unpickler that resolves the names it was given and refuses every other."""

    def __init__(self, stream: Any, allowed: dict[tuple[str, str], Any]) -> None:
        super().__init__(stream)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """What `module.name` stands for; pickle calls this for every global."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"refused to load {module}.{name}: it is not on the allow-list"
            ) from None


BROKEN = (EOFError, AttributeError, IndexError, KeyError, TypeError, OverflowError, MemoryError)
"""What else a file may raise that is not a whole pickle."""


def load(path: Path, allowed: dict[tuple[str, str], Any]) -> Any:
    """Unpickle `path`, resolving only the `(module, name)` pairs in `allowed`.

    Raises pickle.UnpicklingError where it names another, or is no whole pickle.
    """
    with open(path, "rb") as stream:
        try:
            return AllowListUnpickler(stream, allowed).load()
        except pickle.UnpicklingError as cause:
            raise pickle.UnpicklingError(f"{path}: {cause}: fetch it from its authors") from cause
        except (*BROKEN, ValueError) as cause:
            raise pickle.UnpicklingError(
                f"{path}: not a whole pickle of arrays ({cause}): fetch it again"
            ) from cause
