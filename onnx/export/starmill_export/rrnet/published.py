"""Weights of the published code of RRNet and SPEMR, read without running what a pickle says.

That code keeps, for each net of an ensemble, `weight_best.pkl`: the state_dict as `torch.save`
writes it, a zip archive of one pickle and the raw numbers of each tensor. `label_config.pkl` holds
lists and numpy arrays: label_list, label_mean, label_std, flux_mean, flux_std. Every ensemble has
nets of two kinds: SP0, SP1, ... give Teff, log g and [Fe/H], CA0, CA1, ... the other abundances.
"""

import collections
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from starmill_export import pickles
from starmill_export.rrnet import net
from starmill_export.rrnet.net import Parameters, Shape

WEIGHTS = "weight_best.pkl"
MOST_BYTES = 1 << 30
"""Largest tensor data of one file: the published nets have 82 MB at most."""

_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
}

_COLUMNS = {"Teff[K]": "teff", "Logg": "logg"}


def state_dict(path: Path) -> Parameters:
    """The tensors of a file that `torch.save` wrote, by name, float32.

    Raises ValueError where the file is no such archive, or is not whole; pickle.UnpicklingError
    where it asks for anything but tensors.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not an archive of torch.save (1.6 or later): save it anew")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if sum(info.file_size for info in members.values()) > MOST_BYTES:
            raise ValueError(f"{path}: more than {MOST_BYTES} bytes: not a net of this kind")
        pickled = [name for name in members if name.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise ValueError(f"{path}: no data.pkl in the archive: save it anew")
        folder = pickled[0].removesuffix("data.pkl")

        def storage(key: str, dtype: str) -> np.ndarray:
            if f"{folder}data/{key}" not in members:
                raise ValueError(f"{path}: tensor data {key} is missing: fetch the file again")
            return np.frombuffer(archive.read(f"{folder}data/{key}"), dtype)

        loaded = _TensorUnpickler(io.BytesIO(archive.read(pickled[0])), storage).load()
    if not isinstance(loaded, dict):
        raise ValueError(f"{path}: holds no state_dict: save net.state_dict()")
    return {
        str(name): np.array(value, np.float32)
        for name, value in loaded.items()
        if isinstance(value, np.ndarray)
    }


class _TensorUnpickler(pickles.AllowListUnpickler):
    """Resolves tensors and their storages, and refuses every other name."""

    def __init__(self, stream: io.BytesIO, storage: Callable[[str, str], np.ndarray]) -> None:
        allowed: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_rest: data,
        }
        allowed |= {("torch", name): dtype for name, dtype in _STORAGES.items()}
        super().__init__(stream, allowed)
        self._storage = storage

    def persistent_load(self, identity: Any) -> np.ndarray:
        """The numbers that a tensor of the pickle refers to."""
        match identity:
            case ("storage", str(dtype), str(key), str(), int(count)):
                values = self._storage(key, dtype)
                if len(values) != count:
                    raise ValueError(f"tensor data {key} holds {len(values)} of {count} values")
                return values
        raise ValueError(f"unknown tensor data {identity!r}: save the weights with torch >= 1.6")


def _tensor(
    values: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> np.ndarray:
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides), default=0) < 0 or last >= len(values):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its {len(values)} values")
    steps = tuple(step * values.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps).copy()


def label_config(path: Path) -> dict[str, Any]:
    """`label_config.pkl`: label_list, and the arrays label_mean, label_std, flux_mean, flux_std."""
    content = pickles.load(path, pickles.NUMPY_GLOBALS)
    wanted = ["label_list", "label_mean", "label_std", "flux_mean", "flux_std"]
    missing = [name for name in wanted if name not in content]
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(missing)}: not a label_config of RRNet")
    arrays = {name: np.asarray(content[name], np.float64) for name in wanted[1:]}
    return {"label_list": [column(name) for name in content["label_list"]], **arrays}


def column(published: str) -> str:
    """Our name of a label of the published code: Teff[K], Logg, FeH, CH, MgH, ..."""
    return _COLUMNS.get(published, f"{published.removesuffix('H').lower()}_h")


def shape_of(parameters: Parameters) -> Shape:
    """The net that a state_dict belongs to.

    Raises ValueError where a parameter is missing, superfluous or of another size.
    """
    blocks = sorted(name for name in parameters if name.endswith("ResBlock.0.weight"))
    plain = sorted(name for name in parameters if name.startswith("conv") and "weight" in name)
    recurrent = "rnn.weight_ih_l0" in parameters
    kind = {
        (True, True): "rrnet",
        (True, False): "resnet",
        (False, True): "starnet-r",
        (False, False): "starnet",
    }[bool(blocks), recurrent]
    try:
        channels = tuple(len(parameters[name]) for name in blocks or plain)
        dense = len(parameters["fc1.0.weight"]), len(parameters["fc2.0.weight"])
        pooled = net.PUBLISHED.pixels // (2 ** len(channels) if blocks else 4)
        width, band = parameters["rnn.weight_ih_l0"].shape if recurrent else (1, 1)
        bands = pooled * channels[-1] // band if recurrent else 1
        shape = Shape(
            kind, channels, bands, width if recurrent else None, dense, len(parameters["mu.bias"])
        )
    except (KeyError, IndexError, ValueError) as cause:
        raise ValueError(f"not a net of RRNet: {cause}: see `net.sizes` for its layers") from cause
    expected = net.sizes(shape)
    found = {name: value.shape for name, value in parameters.items()}
    if found != expected:
        names = sorted(
            name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
        )
        raise ValueError(f"unexpected or missing layers: {', '.join(names)}: see `net.sizes`")
    return shape


def ensemble(folder: Path, prefix: str) -> list[Parameters]:
    """The nets `prefix`0, `prefix`1, ... of a folder (SP or CA), in order."""
    found = sorted(
        (path for path in folder.glob(f"{prefix}*/{WEIGHTS}")),
        key=lambda path: int(path.parent.name.removeprefix(prefix)),
    )
    if not found:
        raise ValueError(f"{folder}: no {prefix}0/{WEIGHTS}: name the folder that holds it")
    return [state_dict(path) for path in found]
