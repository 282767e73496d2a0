"""Weights of the published code: read exactly, and never by running what the pickle says."""

import collections
import hashlib
import json
import os
import pickle
import tomllib
import zipfile

import numpy as np
import pytest

from starmill_export.rrnet import labels, net, published
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


PUBLISHED_NAMES = ["Teff[K]", "Logg", *[f"{symbol}H" for symbol in labels.ELEMENTS], "FeH"]
"""In another order than that of the nets, which is found by name."""

OURS = ["teff", "logg", *[f"{symbol.lower()}_h" for symbol in labels.ELEMENTS], "fe_h"]


def write_published(folder, family, members=2):
    """Folders as the published code leaves them: SP and CA nets, one set a region of SPEMR."""
    rng = np.random.default_rng(5)
    regions = [folder / name for name in (labels.REGIONS if family == "spemr" else ["nets"])]
    written = {}
    for kind, count in (("SP", 3), ("CA", 13 if family == "spemr" else 14)):
        shape = Shape(bands=80, dense=(12, 9), labels=count)
        for number in range(members):
            trunk = net.initial(shape, number + 10 * count)
            for region in regions:
                # Fine-tuning moves the dense layers alone.
                member = {
                    name: value + np.float32(0.05) * rng.standard_normal(value.shape, np.float32)
                    if name.startswith(net.HEAD_PREFIXES)
                    else value
                    for name, value in trunk.items()
                }
                (region / f"{kind}{number}").mkdir(parents=True)
                saved(region / f"{kind}{number}/weight_best.pkl", member)
                written[region.name, kind, number] = member, shape
    config = {
        "label_list": PUBLISHED_NAMES,
        "label_mean": rng.normal(size=17),
        "label_std": rng.uniform(0.5, 2, 17),
        "flux_mean": rng.uniform(0.8, 1, 7200),
        "flux_std": rng.uniform(0.02, 0.1, 7200),
    }
    (folder / "label_config.pkl").write_bytes(pickle.dumps(config))
    return regions, written, config


def as_the_published_code(regions, written, config, names, spectra, members=2):
    """Its predict.py, and for SPEMR equations 2 and 3 of its paper: labels and sigma."""
    found = []
    for region in regions:
        nets = [
            [net.forward(*_double(written[region.name, kind, number], spectra), np)
             for kind in ("SP", "CA")]
            for number in range(members)
        ]  # fmt: skip
        means, variances = (
            np.array([np.hstack([both[part] for both in pair]) for pair in nets]) for part in (0, 1)
        )
        mean = means.mean(0)
        found.append((mean, (means**2 + variances).mean(0) - mean**2))
    means, variances = np.array([each[0] for each in found]), np.array([each[1] for each in found])
    best = variances.argmin(0)[None]
    columns = [OURS.index(name) for name in names]
    spread, offset = config["label_std"][columns], config["label_mean"][columns]
    mean = np.take_along_axis(means, best, 0)[0] * spread + offset
    return mean, np.sqrt(np.take_along_axis(variances, best, 0)[0]) * spread


def _double(saved_net, spectra):
    member, shape = saved_net
    return {name: value.astype(float) for name, value in member.items()}, spectra, shape


@pytest.mark.parametrize("family", ["rrnet", "spemr"])
def test_the_command_makes_a_model_folder_that_says_what_the_published_code_says(tmp_path, family):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export.imported import cli as imported_cli
    from starmill_export.rrnet import cli

    regions, written, config = write_published(tmp_path, family)
    out = tmp_path / "model"
    command = ["import", "--family", family, *map(str, regions), "--out", str(out)]
    assert cli.main([*command, "--label-config", str(tmp_path / "label_config.pkl")]) == 0
    if family == "rrnet":
        again = [family, *map(str, regions), "--out", str(tmp_path / "again")]
        again += ["--label-config", str(tmp_path / "label_config.pkl")]
        assert imported_cli.main(again) == 0
        for path in out.iterdir():
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    names = labels.SPEMR if family == "spemr" else labels.RRNET
    spectra = np.random.default_rng(3).normal(size=(3, 7200)).astype(np.float32)
    expected = as_the_published_code(regions, written, config, names, spectra.astype(float))
    session = runtime.InferenceSession(out / "model.onnx")
    found, sigma, factors = session.run(["labels", "sigma", "factors"], {"spectrum": spectra})
    np.testing.assert_allclose(found, expected[0], atol=1e-5)
    np.testing.assert_allclose(sigma, expected[1], rtol=1e-5)
    assert factors.shape == (3, 2, len(names))
    assert not factors[:, 0, 3:].any()
    assert not factors[:, 1, :3].any()
    manifest = tomllib.loads((out / "manifest.toml").read_text())
    assert [label["name"] for label in manifest["label"]] == names
    assert manifest["trained_on"] == "real"
    assert "novelty" not in manifest["output"]
    assert manifest["output"]["covariance"] == {"factor": "factors", "rank": 2}
    for entry in manifest["files"].values():
        content = (out / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    scale = np.frombuffer((out / "scale.f32").read_bytes(), "<f4")
    np.testing.assert_array_equal(scale[:7200], config["flux_mean"].astype("<f4"))
    for case in json.loads((out / "golden.json").read_text())["cases"]:
        row = session.run(["labels", "sigma"], {"spectrum": np.array([case["input"]], np.float32)})
        np.testing.assert_allclose(row[0][0], case["labels"], atol=1e-4)
        np.testing.assert_allclose(row[1][0], case["sigma"], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--family", "spemr"], "name all"),
        (["--half"], "--out"),
        (["--family", "rrnet", "--label-config", "other.pkl", "--out", "x"], "lacks cu_h"),
    ],
)
def test_the_command_says_what_does_not_fit(tmp_path, monkeypatch, capsys, options, remedy):
    pytest.importorskip("onnx")
    from starmill_export.rrnet import cli

    monkeypatch.chdir(tmp_path)
    _, _, config = write_published(tmp_path, "rrnet", members=1)
    (tmp_path / "other.pkl").write_bytes(
        pickle.dumps(config | {"label_list": [*PUBLISHED_NAMES[:-2], "VH", "FeH"]})
    )
    if "spemr" in options:
        options = [*options, "--label-config", "label_config.pkl", "--out", "x"]
    assert cli.main(["import", "nets", *options]) == 1
    assert remedy in capsys.readouterr().err
