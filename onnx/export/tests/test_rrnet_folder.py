"""The model folder of RRNet and SPEMR, and the command that makes it, on toys."""

import hashlib
import json
import tomllib

import numpy as np
import pytest

from starmill_export import novelty
from starmill_export.rrnet import folder, labels, net, pipeline
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.net import Shape
from starmill_export.rrnet.network_file import Ensemble

RNG = np.random.default_rng(8)


def toy(names):
    shape = Shape(bands=5, hidden=7, dense=(12, 9), labels=len(names), pixels=80)
    members = [net.initial(shape, seed) for seed in range(3)]
    scaling = Scaling(np.zeros(80), np.ones(80), np.arange(len(names)), np.ones(len(names)))
    spectra = RNG.normal(size=(60, 80))
    measure = novelty.fit(spectra[:40], spectra[40:], 0.1)
    return Ensemble([members], shape, scaling, measure).rounded(), spectra.astype(np.float32)


def test_the_manifest_names_what_the_graph_gives_and_hashes_its_files():
    onnx = pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph

    model, spectra = toy(labels.RRNET)
    graph = fast_graph.build(model, "rrnet", "1", half=True)
    files = {
        "onnx": graph.SerializeToString(deterministic=True),
        "scale": b"scale",
        "golden": folder.golden(model, spectra),
        "card": b"card",
    }
    text = folder.manifest_text("rrnet", labels.RRNET, "c", "1", files, model, {"seed": "1"})
    parsed = tomllib.loads(text)
    found = {output.name for output in onnx.load_from_string(files["onnx"]).graph.output}
    named = {value for value in parsed["output"].values() if isinstance(value, str)}
    assert found == named | {parsed["output"]["covariance"]["factor"]}
    assert parsed["output"]["covariance"]["rank"] == 2
    for role, content in files.items():
        assert parsed["files"][role]["sha256"] == hashlib.sha256(content).hexdigest()
    assert [entry["name"] for entry in parsed["label"]] == labels.RRNET
    steps = [step["step"] for step in parsed["recipe"]]
    assert steps == [
        "snr", "rest_frame", "bad_pixels", "resample", "despike", "continuum", "clip", "scale",
    ]  # fmt: skip
    assert "rest_frame" not in [step["step"] for step in folder.recipe("u")]


def test_golden_rows_are_what_the_graph_gives():
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export.rrnet import fast_graph

    model, spectra = toy(labels.SPEMR)
    cases = json.loads(folder.golden(model, spectra))["cases"]
    graph = fast_graph.build(model, "spemr", "1", half=True)
    session = runtime.InferenceSession(graph.SerializeToString())
    inputs = np.array([case["input"] for case in cases], np.float32)
    found, sigma, strange = session.run(["labels", "sigma", "novelty"], {"spectrum": inputs})
    for row, case in enumerate(cases):
        np.testing.assert_allclose(found[row], case["labels"], atol=1e-4)
        np.testing.assert_allclose(sigma[row], case["sigma"], atol=1e-4)
        np.testing.assert_allclose(strange[row], case["novelty"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["rrnet", "spemr"])
def test_the_plan_at_published_size_is_the_papers(family):
    plan = pipeline.plan(family, "published", "rrnet", "c", None, None)
    parameters = sum(int(np.prod(size)) for size in net.sizes(plan.shape).values())
    expected = {"rrnet": (3_985_606, 5e-4, 17), "spemr": (20_319_988, 1e-4, 16)}[family]
    assert (parameters, plan.schedule.rate, len(plan.names)) == expected
    assert (plan.members, plan.schedule.epochs, plan.schedule.batch) == (6, 30, 256)
    assert (plan.tuning is not None) == (family == "spemr")


def test_a_short_schedule_keeps_its_proportions():
    schedule = pipeline.plan("rrnet", "small", "rrnet", "c", None, 15).schedule
    assert (schedule.epochs, schedule.rate_epochs, schedule.noise_from) == (15, 5, 3)


def test_uncorrected_variant_with_velocity_has_one_more_label():
    assert pipeline.plan("rrnet", "small", "starnet", "ur", None, None).shape.labels == 18


def test_the_speed_of_untrained_nets_is_measured(tmp_path):
    pytest.importorskip("onnxruntime")
    from starmill_export.rrnet import cli

    command = ["speed", "--family", "spemr", "--size", "smoke", "--work", str(tmp_path)]
    assert cli.main(command) == 0
    found = json.loads((tmp_path / "speed-spemr.json").read_text())
    assert found["largest_difference"]["fast"] < 1e-5
    assert found["largest_difference"]["eight bits"] < 0.1
    assert all(speed > 0 for speed in found["batch 8"].values())


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    pytest.importorskip("onnx")
    from starmill_export.rrnet import cli

    grid = tmp_path / "grid.npz"
    np.savez(grid, label_names=np.array(["teff"]), labels=np.zeros((1, 1)))
    command = ["data", "--size", "smoke", "--work", str(tmp_path / "work"), "--grid", str(grid)]
    assert cli.main(command) == 1
    assert "compute it anew" in capsys.readouterr().err
