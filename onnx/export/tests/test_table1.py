"""Table 1: the paper's CNN, and every method through the same fit."""

import json

import numpy as np
import pytest

from starmill_export.table1 import report
from starmill_export.table1.data import Task

pytest.importorskip("jax")
cnn = pytest.importorskip("starmill_export.table1.cnn")


def test_the_cnn_has_the_papers_shape_and_size():
    assert cnn.width(143) == 35
    parameters = cnn.initial(143, 6, np.random.default_rng(1))
    count = sum(weight.size + bias.size for weight, bias in parameters)
    # The paper gives 943 KB, its file's format included.
    assert 4 * count == pytest.approx(943_000, rel=0.01)


def test_the_graph_of_the_cnn_agrees_with_the_reference():
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(2)
    for pixels in (143, 343):
        parameters = cnn.initial(pixels, 3, rng)
        mean, spread = np.array([5000.0, 3, -1]), np.array([500.0, 1, 0.3])
        graph = cnn.graph(parameters, mean, spread, pixels, "cnn").SerializeToString()
        spectra = rng.standard_normal((9, pixels)).astype(np.float32)
        found = runtime.InferenceSession(graph).run(["labels"], {"spectrum": spectra})[0]
        expected = cnn.forward(parameters, spectra.astype(np.float64))
        assert np.abs((found - mean) / spread - expected).max() < 1e-4


def toy():
    """Labels that are amplitudes of patterns, with noise: a task that all methods can learn."""
    rng = np.random.default_rng(4)
    patterns = rng.standard_normal((2, 40)) @ np.exp(
        -(np.subtract.outer(np.arange(40), np.arange(40)) ** 2) / 20
    )
    labels = rng.standard_normal((900, 2)) * [300, 0.5] + [5000, 3]
    spectra = ((labels - [5000, 3]) / [300, 0.5]) @ patterns
    spectra += 0.1 * rng.standard_normal(spectra.shape)
    parts = [
        (spectra[rows], labels[rows]) for rows in (slice(540), slice(540, 720), slice(720, None))
    ]
    return Task.of(["teff", "logg"], parts)


@pytest.mark.parametrize("method", list(report.METHODS))
def test_every_method_learns_and_says_what_it_costs(method, tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("xgboost")
    from starmill_export.table1 import cli

    figures = cli.fit(toy(), method, tmp_path / method, 30, lambda _message: None)
    assert figures == json.loads((tmp_path / method / "figures.json").read_text())
    assert figures["loss"] < 0.3
    assert figures["size"] > 1000
    assert np.allclose(np.array(figures["deviation"]) / [300, 0.5], 0, atol=0.6)
    assert ("million_s" in figures) != (tmp_path / method / "manifest.toml").exists()


def test_the_page_has_every_method_with_its_time(tmp_path):
    for task, labels in (("lrs", ["teff", "logg"]), ("xp", ["teff", "alpha_m"])):
        for method in report.METHODS:
            place = tmp_path / task / method
            place.mkdir(parents=True)
            figures = {
                "rows": [3, 2, 1],
                "settings": f"set {method}",
                "size": 407_000,
                "labels": labels,
                "bias": [0, 0],
                "deviation": [80.2, 0.15],
                "robust": [60.1, 0.1],
                "loss": 0.2,
            }
            if method not in ("cnn", "fcresnet"):
                figures["million_s"] = 90.0
            (place / "figures.json").write_text(json.dumps(figures))
    printed = "".join(
        f"speed {t}/{n} 50000.0\n" for t in ("lrs", "xp") for n in ("cnn", "fcresnet")
    )
    text = report.text(tmp_path, f"test x ... \n{printed}ok\n")
    assert text.count("| FCResNet | 407 KB | 20.0 s | 80 | 0.150 | 0.2000 |") == 2
    assert text.count("| KNN | 407 KB | 90.0 s |") == 2
    assert "| FCResNet | 348 KB | 42 s |" in text
