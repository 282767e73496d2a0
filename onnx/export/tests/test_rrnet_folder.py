"""The model folder of RRNet and SPEMR, and the command that makes it, on toys."""

import hashlib
import json
import tomllib

import numpy as np
import pytest

from starmill_export import novelty
from starmill_export.rrnet import evaluate, folder, labels, net, pipeline
from starmill_export.rrnet.examples import Examples, Scaling
from starmill_export.rrnet.net import Shape
from starmill_export.rrnet.network_file import Ensemble

RNG = np.random.default_rng(8)


def toy(names, regions=1):
    shape = Shape(bands=5, hidden=7, dense=(12, 9), labels=len(names), pixels=80)
    members = [net.initial(shape, seed) for seed in range(3)]
    scaling = Scaling(np.zeros(80), np.ones(80), np.arange(len(names)), np.ones(len(names)))
    spectra = RNG.normal(size=(60, 80))
    measure = novelty.fit(spectra[:40], spectra[40:], 0.1)
    heads = ("mu.bias", "sigma.0.bias")
    tuned = [
        [
            {name: value + region * (name in heads) for name, value in member.items()}
            for member in members
        ]
        for region in range(regions)
    ]
    return Ensemble(tuned, shape, scaling, measure).rounded(), spectra.astype(np.float32)


def known(names):
    return dict.fromkeys(names, 0.1)


@pytest.mark.parametrize(("family", "regions"), [("rrnet", 1), ("spemr", 4)])
def test_the_manifest_names_what_the_graph_gives_and_hashes_its_files(family, regions):
    onnx = pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph

    names = labels.RRNET if family == "rrnet" else labels.SPEMR
    model, spectra = toy(names, regions)
    graph = fast_graph.build(model, family, "1", half=True)
    files = {
        "onnx": graph.SerializeToString(deterministic=True),
        "scale": b"scale",
        "golden": folder.golden(model, spectra),
        "card": b"card",
    }
    text = folder.manifest_text(family, names, "c", "1", files, model, known(names), {"seed": "1"})
    parsed = tomllib.loads(text)
    found = {
        output.name: [size.dim_value for size in output.type.tensor_type.shape.dim[1:]]
        for output in onnx.load_from_string(files["onnx"]).graph.output
    }
    named = {value for value in parsed["output"].values() if isinstance(value, str)}
    columns = parsed["output"].get("column", [])
    assert set(found) == named | {parsed["output"]["covariance"]["factor"]} | {
        column["output"] for column in columns
    }
    assert [column["name"] for column in columns] == ["region", "votes"] * (regions > 1)
    for column in columns:
        assert found[column["output"]] == column["shape"]
        # What a card of a FITS header holds.
        assert len(column["description"]) <= 60
    assert parsed["output"]["covariance"]["rank"] == 2
    for role, content in files.items():
        assert parsed["files"][role]["sha256"] == hashlib.sha256(content).hexdigest()
    assert [entry["name"] for entry in parsed["label"]] == names
    steps = [step["step"] for step in parsed["recipe"]]
    assert steps == [
        "snr", "rest_frame", "bad_pixels", "resample", "despike", "continuum", "clip", "scale",
    ]  # fmt: skip
    assert "rest_frame" not in [step["step"] for step in folder.recipe("u")]


def test_a_label_of_which_the_spectra_say_nothing_says_so():
    names = ["teff", "logg", "fe_h", "mg_h", "mn_h", "k_h"]
    rng = np.random.default_rng(5)
    iron = rng.normal(0, 0.6, 4000)
    beyond = rng.normal(0, 0.25, (4000, 3))
    truth = np.column_stack([rng.normal(5000, 700, 4000), iron, iron, iron[:, None] + beyond])
    # Magnesium is measured, manganese nearly not, and of potassium only that it follows iron.
    known_part = np.array([1.0, 0.3, 0.0])
    found = truth.copy()
    found[:, 3:] = iron[:, None] + known_part * beyond
    held_out = Examples(np.zeros((4000, 1)), truth, np.full((4000, 2), 100.0))
    figures = evaluate.figures(found, np.ones_like(found), held_out, names)
    title, ignorance = evaluate.ignorance(figures)
    assert title == "S/N above 80"
    np.testing.assert_allclose([ignorance[name] for name in names[3:]], [0, 0.7, 1], atol=0.02)
    ignorance["mn_h"] = evaluate.LITTLE_INFORMATION
    tables = folder.label_tables("rrnet", names, ignorance)
    described = {table["name"]: table["description"] for table in tables}
    assert described["mg_h"] == "Mg abundance [Mg/H]"
    assert described["mn_h"] == "Mn abundance [Mn/H]; little information in these windows"
    assert described["k_h"] == "K abundance [K/H]; no information in these windows"
    assert max(len(text) for text in described.values()) <= 60

    summary = {
        "labels": names,
        "members": 6,
        "regions": 4,
        "parameters_of_a_member": 9,
        "held_out": figures,
        "speed": {"batch 1": {"plain": 1.0}},
        "shift_in_sigma": {},
        "calibration": "none",
    }
    card = folder.card("spemr", summary, [])
    assert "| k_h | 1.00 | no information |" in card
    assert "| mg_h | 0.00 |  |" in card
    for name in labels.REGIONS:
        assert labels.REGION_MEANINGS[name] in card


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
