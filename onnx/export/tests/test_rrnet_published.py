"""Weights of the published code: read exactly, and never by running what the pickle says."""

import collections
import os
import pickle
import zipfile

import numpy as np
import pytest

from starmill_export.rrnet import net, published
from starmill_export.rrnet.net import Shape

SHAPE = Shape(bands=5, dense=(12, 9), labels=3)


class Storage:
    """A storage as torch pickles it: by a persistent id."""

    def __init__(self, key, dtype, count):
        self.identity = ("storage", dtype, key, "cpu", count)


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return Name("torch._utils", "_rebuild_tensor_v2"), self.arguments


class Name:
    """Stands for a global that need not exist here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError("only pickled, never called")


class Pickler(pickle._Pickler):
    """Writes `Name` as the global it stands for, and storages by their identity."""

    def persistent_id(self, value):
        return value.identity if isinstance(value, Storage) else None

    def save(self, value, *arguments, **named):
        if isinstance(value, Name):
            self.write(f"c{value.module}\n{value.name}\n".encode())
            self.memoize(value)
        else:
            super().save(value, *arguments, **named)


def write(path, content, storages):
    """An archive as `torch.save` lays it out."""
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as stream:
            Pickler(stream, protocol=2).dump(content)
        archive.writestr("archive/version", "3\n")
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())


def saved(path, parameters):
    content, storages = collections.OrderedDict(), {}
    for index, (name, value) in enumerate(parameters.items()):
        storage = Storage(str(index), Name("torch", "FloatStorage"), value.size)
        strides = tuple(step // value.itemsize for step in value.strides)
        content[name] = Tensor(storage, 0, value.shape, strides)
        storages[str(index)] = value
    write(path, content, storages)


@pytest.mark.parametrize(
    "shape",
    [SHAPE, Shape("starnet-r", (4, 16), 80, None, (12, 9), 3), Shape("resnet", dense=(12, 9))],
)
def test_weights_and_shape_come_back(tmp_path, shape):
    parameters = net.initial(shape, 1)
    saved(tmp_path / "weight_best.pkl", parameters)
    found = published.state_dict(tmp_path / "weight_best.pkl")
    assert list(found) == list(parameters)
    for name, value in parameters.items():
        np.testing.assert_array_equal(found[name], value)
    assert net.sizes(published.shape_of(found)) == net.sizes(shape)


def test_views_are_taken_as_torch_strides_them(tmp_path):
    values = np.arange(12, dtype=np.float32)
    storage = Storage("0", Name("torch", "FloatStorage"), 12)
    write(tmp_path / "w.pkl", {"turned": Tensor(storage, 2, (3, 2), (1, 4))}, {"0": values})
    turned = published.state_dict(tmp_path / "w.pkl")["turned"]
    np.testing.assert_array_equal(turned, [[2, 6], [3, 7], [4, 8]])


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (4, 4), (4, 1)), (11, (2,), (1,)), (-1, (2,), (1,))]
)
def test_a_tensor_does_not_reach_beyond_its_values(tmp_path, offset, shape, strides):
    storage = Storage("0", Name("torch", "FloatStorage"), 12)
    content = {"beyond": Tensor(storage, offset, shape, strides)}
    write(tmp_path / "w.pkl", content, {"0": np.zeros(12, np.float32)})
    with pytest.raises(ValueError, match="beyond"):
        published.state_dict(tmp_path / "w.pkl")


class Command:
    def __reduce__(self):
        return os.system, ("false",)


@pytest.mark.parametrize("payload", [Command(), print, np.load])
def test_commands_are_refused(tmp_path, payload):
    write(tmp_path / "w.pkl", {"weights": payload}, {})
    with pytest.raises(pickle.UnpicklingError, match="allow-list"):
        published.state_dict(tmp_path / "w.pkl")
    (tmp_path / "label_config.pkl").write_bytes(pickle.dumps({"label_list": payload}))
    with pytest.raises(pickle.UnpicklingError, match="allow-list"):
        published.label_config(tmp_path / "label_config.pkl")


def test_what_is_no_archive_or_not_whole_is_said(tmp_path):
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match=r"torch\.save"):
        published.state_dict(path)
    storage = Storage("7", Name("torch", "FloatStorage"), 3)
    write(path, {"a": Tensor(storage, 0, (3,), (1,))}, {})
    with pytest.raises(ValueError, match="missing"):
        published.state_dict(path)
    write(path, {"a": Tensor(storage, 0, (3,), (1,))}, {"7": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match="2 of 3"):
        published.state_dict(path)


def test_a_net_of_other_layers_is_refused():
    parameters = net.initial(SHAPE, 1)
    with pytest.raises(ValueError, match=r"fc2\.0\.bias"):
        published.shape_of(parameters | {"fc2.0.bias": np.zeros(4, np.float32)})
    with pytest.raises(ValueError, match="mu"):
        published.shape_of({name: value for name, value in parameters.items() if "mu" not in name})


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_label_configuration_is_read(tmp_path, protocol):
    content = {
        "label_list": ["Teff[K]", "Logg", "CH", "FeH", "CuH"],
        "label_mean": np.arange(5.0),
        "label_std": np.ones(5),
        "flux_mean": np.zeros(7200),
        "flux_std": np.ones(7200),
    }
    path = tmp_path / "label_config.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = published.label_config(path)
    assert found["label_list"] == ["teff", "logg", "c_h", "fe_h", "cu_h"]
    np.testing.assert_array_equal(found["label_mean"], np.arange(5.0))
    del content["flux_std"]
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="flux_std"):
        published.label_config(path)


def test_an_ensemble_is_read_in_the_order_of_its_numbers(tmp_path):
    for number in (10, 2, 0):
        (tmp_path / f"SP{number}").mkdir()
        saved(tmp_path / f"SP{number}/weight_best.pkl", net.initial(SHAPE, number))
    members = published.ensemble(tmp_path, "SP")
    for number, member in zip((0, 2, 10), members, strict=True):
        np.testing.assert_array_equal(member["mu.weight"], net.initial(SHAPE, number)["mu.weight"])
    with pytest.raises(ValueError, match="CA0"):
        published.ensemble(tmp_path, "CA")
