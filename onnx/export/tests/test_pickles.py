"""Emulators are pickles of other people: nothing but arrays and records may come out of them."""

import os
import pickle

import numpy as np
import pytest

from starmill_export import atmosphere, bossbrain, pickles


class Command:
    def __reduce__(self):
        return os.system, ("false",)


class Evaluation:
    def __reduce__(self):
        return eval, ("1 + 1",)


class Attribute:
    """What fetches a function by its name."""

    def __reduce__(self):
        return getattr, ("text", "upper")


@pytest.mark.parametrize("payload", [Command(), Evaluation(), Attribute(), np.load, print])
@pytest.mark.parametrize("allowed", [bossbrain.ALLOWED, atmosphere.ALLOWED])
def test_everything_else_is_refused(tmp_path, payload, allowed):
    path = tmp_path / "emulator.pkl"
    path.write_bytes(pickle.dumps({"weights": [payload]}))
    with pytest.raises(pickle.UnpicklingError, match="allow-list"):
        pickles.load(path, allowed)


def test_atmospheres_fetch_no_attribute_but_the_one():
    with pytest.raises(ValueError, match="allow-list"):
        atmosphere._get_attribute("os", "system")


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_are_read(tmp_path, protocol):
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": np.arange(3.0)}, protocol=protocol))
    np.testing.assert_array_equal(pickles.load(path, pickles.NUMPY_GLOBALS)["a"], np.arange(3.0))


def test_bytes_are_encoded_one_way():
    with pytest.raises(ValueError, match="allow-list"):
        pickles.encoded("text", "rot13")
