"""The net's gradient and the exported graph."""

import numpy as np
import pytest

from starmill_export import network, novelty

RNG = np.random.default_rng(11)


def small_model():
    from starmill_export.graph import Model

    spectra = RNG.normal(size=(600, 143)) @ RNG.normal(size=(143, 143)) / 12
    parameters = network.initial(143, 6, RNG)
    mean, spread = RNG.normal(size=6) * 100, RNG.uniform(0.1, 500, 6)
    return Model(parameters, mean, spread, novelty.fit(spectra[:400], spectra[400:], 0.01)), spectra


def test_the_parameter_count_is_the_papers():
    assert network.count(network.initial(143, 6, RNG)) == 101_766


@pytest.mark.parametrize("layer", range(network.LAYERS))
def test_the_gradient_agrees_with_finite_differences(layer):
    parameters = [
        (weight.astype(float), bias.astype(float))
        for weight, bias in network.initial(10, 3, np.random.default_rng(2))
    ]
    spectra, labels = RNG.normal(size=(20, 10)), RNG.normal(size=(20, 3))
    _, gradient = network.loss_and_gradient(parameters, spectra, labels)
    for array, slope in zip(parameters[layer], gradient[layer], strict=True):
        index = np.unravel_index(np.argmax(np.abs(slope)), slope.shape)
        losses = []
        for step in (1e-6, -2e-6):
            array[index] += step
            losses.append(network.loss_and_gradient(parameters, spectra, labels)[0])
        array[index] += 1e-6
        assert slope[index] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5)


def test_adam_first_steps_have_the_size_of_the_rate():
    parameters = network.initial(4, 2, RNG)
    before = [weight.copy() for weight, _ in parameters]
    ones = [(np.ones_like(weight), np.ones_like(bias)) for weight, bias in parameters]
    network.Adam().update(parameters, ones, 1e-3)
    for old, (new, _) in zip(before, parameters, strict=True):
        assert new.dtype == np.float32
        np.testing.assert_allclose(old - new, 1e-3, rtol=1e-3)


def test_the_graph_agrees_with_the_reference():
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export import graph

    model, spectra = small_model()
    exported = graph.build(model, "toy", "0.1", "test").SerializeToString(deterministic=True)
    session = runtime.InferenceSession(exported)
    assert session.get_modelmeta().custom_metadata_map == {"name": "toy", "version": "0.1"}
    for rows in (1, 7, 600):
        single = spectra[:rows].astype(np.float32)
        labels, distance = session.run(["labels", "novelty"], {"spectrum": single})
        expected, expected_distance = model(single)
        assert labels.shape == (rows, 6)
        assert distance.shape == (rows,)
        assert (np.abs(labels - expected) / model.spread).max() < 1e-4
        np.testing.assert_allclose(distance, expected_distance, rtol=1e-4)


def test_the_graph_has_the_same_bytes_each_time():
    pytest.importorskip("onnx")
    from starmill_export import graph

    model, _ = small_model()
    first, second = (
        graph.build(model, "toy", "0.1", "test").SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


def test_novelty_keeps_its_false_alarm_rate_and_sees_strangers():
    spectra = RNG.normal(size=(8000, 15)) @ RNG.normal(size=(15, 143))
    spectra += 0.1 * RNG.normal(size=spectra.shape)
    measure = novelty.fit(spectra[:4000], spectra[4000:6000], 0.01)
    assert 0.001 < np.mean(measure(spectra[6000:]) > 1) < 0.03
    stranger = spectra[:10] + 3 * np.eye(143)[70]
    assert (measure(stranger) > 1).all()
    assert (measure(spectra[:10] * 5) > 1).all()
