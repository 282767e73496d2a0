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


NUMPY_GLOBALS = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy.core.multiarray", "scalar"): multiarray.scalar,
}


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


def load(path: Path, allowed: dict[tuple[str, str], Any]) -> Any:
    """Unpickle `path`, resolving only the `(module, name)` pairs in `allowed`."""
    with open(path, "rb") as stream:
        return AllowListUnpickler(stream, allowed).load()
