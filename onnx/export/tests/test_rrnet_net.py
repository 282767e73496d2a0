"""RRNet and its kin: layers, ensemble, and the two graphs."""

import numpy as np
import pytest

from starmill_export.rrnet import ensemble, labels, net
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.net import HEAD_PREFIXES, Shape

RNG = np.random.default_rng(3)
SMALL = Shape(bands=5, hidden=7, dense=(12, 9), labels=4, pixels=80)


@pytest.fixture(autouse=True)
def same_numbers_whatever_ran_before():
    RNG.bit_generator.state = np.random.default_rng(3).bit_generator.state


def convolved(value, weight, bias):
    """The definition, on [n, channels, pixels]."""
    reach = weight.shape[2] // 2
    padded = np.pad(value, ((0, 0), (0, 0), (reach, reach)))
    taps = [padded[:, :, tap : tap + value.shape[2]] for tap in range(weight.shape[2])]
    return np.einsum("oit,tnip->nop", weight, np.stack(taps)) + bias[:, None]


def by_definition(parameters, spectra, shape):
    def layer(name, value):
        return convolved(value, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    value = spectra[:, None]
    for block in range(len(shape.channels)):
        if shape.residual:
            prefix = f"ResBlock_list.{block}.0"
            inner = np.maximum(layer(f"{prefix}.ResBlock.0", value), 0)
            value = layer(f"{prefix}.ResBlock.2", inner) + layer(f"{prefix}.downsample.0", value)
            value = value.reshape(*value.shape[:2], -1, 2).mean(axis=3)
        else:
            value = np.maximum(layer(f"conv{block + 1}.0", value), 0)
    if not shape.residual:
        value = value.reshape(*value.shape[:2], -1, 4).max(axis=3)
    value = np.maximum(value, 0)
    if shape.recurrent:
        bands = value.transpose(0, 2, 1).reshape(len(spectra), shape.bands, shape.band)
        state, states = np.zeros((len(spectra), shape.width)), []
        for step in range(shape.bands):
            drive = bands[:, step] @ parameters["rnn.weight_ih_l0"].T
            carried = state @ parameters["rnn.weight_hh_l0"].T
            bias = parameters["rnn.bias_ih_l0"] + parameters["rnn.bias_hh_l0"]
            state = np.tanh(drive + carried + bias)
            states.append(state)
        value = np.stack(states, axis=1)
    return value.reshape(len(spectra), -1)


def double(parameters):
    return {name: value.astype(float) for name, value in parameters.items()}


def small(kind):
    if kind in ("starnet", "starnet-r"):
        return Shape(kind, (4, 16), 8, 7, (12, 9), 4, 80)
    return Shape(kind, (4, 8, 16), 5, 7, (12, 9), 4, 80)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [(net.PUBLISHED, 3_985_606), (net.PUBLISHED_SPEMR, 20_319_988)],
)
def test_the_parameter_counts_are_those_of_the_published_nets(shape, expected):
    assert sum(int(np.prod(size)) for size in net.sizes(shape).values()) == expected


@pytest.mark.parametrize("kind", net.KINDS)
def test_tiles_and_folded_pools_change_nothing(kind):
    shape = small(kind)
    parameters = double(net.initial(shape, 1))
    spectra = RNG.normal(size=(3, 80))
    features = net.trunk(parameters, spectra, shape, np)
    np.testing.assert_allclose(features, by_definition(parameters, spectra, shape), atol=1e-12)


@pytest.mark.parametrize("kind", net.KINDS)
def test_training_computes_what_the_reference_does(kind):
    pytest.importorskip("jax")
    import jax.numpy as jnp

    shape = small(kind)
    parameters = net.initial(shape, 1)
    spectra = RNG.normal(size=(3, 80)).astype(np.float32)
    trained = net.forward(parameters, jnp.asarray(spectra), shape, jnp)
    expected = net.forward(double(parameters), spectra.astype(float), shape, np)
    for ours, theirs in zip(trained, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, atol=2e-6)


def test_factors_and_diagonal_give_equation_3_and_the_scatter_of_the_members():
    means, variances = RNG.normal(size=(6, 5, 3)), RNG.uniform(0.1, 1, (6, 5, 3))
    mean, variance, diagonal, factors = ensemble.combine(means, variances)
    np.testing.assert_allclose(mean, means.mean(axis=0))
    published = (variances + means**2).mean(axis=0) - mean**2
    np.testing.assert_allclose(variance, published, rtol=1e-12)
    for row in range(5):
        covariance = np.diag(diagonal[row]) + factors[row].T @ factors[row]
        scatter = np.cov(means[:, row], rowvar=False, bias=True)
        np.testing.assert_allclose(covariance - np.diag(diagonal[row]), scatter, atol=1e-12)
        np.testing.assert_allclose(np.diag(covariance), variance[row], rtol=1e-12)


def test_fusion_takes_each_label_from_the_surest_region():
    means = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    variances = np.array([[[0.1, 0.9]], [[0.2, 0.3]]])
    mean, variance, chosen = ensemble.fuse(means, variances)
    assert mean.tolist() == [[1.0, 4.0]]
    assert variance.tolist() == [[0.1, 0.3]]
    assert chosen.tolist() == [[0, 1]]


def test_regions_cover_every_star():
    stars = np.array([[3900, 4.5, 0.0], [4500, 4.5, -0.2], [5500, 4.0, -1.5], [6800, 4.0, 0.1]])
    member = {name: labels.in_region(stars, name).tolist() for name in labels.REGIONS}
    assert member == {
        "S1": [False, True, False, False],
        "S2": [True, False, False, True],
        "S3": [False, False, True, False],
        "S4": [True, True, False, False],
    }


def model(kind, regions, members):
    from starmill_export.rrnet.network_file import Ensemble

    shape = small(kind)
    trunks = [net.initial(shape, seed) for seed in range(members)]
    tuned = [
        [
            {
                name: value + (0.3 * RNG.normal(size=value.shape)).astype(np.float32)
                if name.startswith(HEAD_PREFIXES) and regions > 1
                else value
                for name, value in trunk.items()
            }
            for trunk in trunks
        ]
        for _ in range(regions)
    ]
    spread = RNG.uniform(0.1, 2, 4)
    scaling = Scaling(np.zeros(80), np.ones(80), RNG.normal(size=4), spread)
    return Ensemble(tuned, shape, scaling).rounded()


def run(exported, spectra):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(exported.SerializeToString())
    return session.run(None, {"spectrum": spectra})


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("kind", "regions", "members"),
    [("rrnet", 1, 3), ("rrnet", 4, 2), ("resnet", 1, 2), ("rrnet", 2, 1)],
)
def test_plain_and_fast_graph_agree_with_the_reference(kind, regions, members, half):
    pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph, plain_graph

    if members == 1:
        members = 2
    ensemble_model = model(kind, regions, members)
    spectra = RNG.normal(size=(7, 80)).astype(np.float32)
    named = ensemble_model(spectra)
    expected = list(named.values())
    assert len(expected) == (3 if regions == 1 else 5)
    if regions > 1:
        assert len(np.unique(named["region"])) > 1
        winners = named["region"].astype(int) - 1
        for part, output in enumerate(("labels", "sigma")):
            won = np.take_along_axis(named["votes"][:, :, part], winners[:, None], axis=1)
            np.testing.assert_array_equal(won[:, 0], named[output])
        np.testing.assert_array_equal(winners, named["votes"][:, :, 1].argmin(axis=1))
    assert np.ptp(expected[0], axis=0).min() > 0
    plain = run(plain_graph.build(ensemble_model, "toy", "0", half), spectra)
    fast = run(fast_graph.build(ensemble_model, "toy", "0", half), spectra)
    for ours, other, reference in zip(fast, plain, expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-5)
        np.testing.assert_allclose(ours, other, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("kind", "regions"), [("rrnet", 1), ("rrnet", 4), ("resnet", 1)])
def test_the_functions_of_our_operators_give_the_plain_graph(kind, regions, half):
    pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph, operators, plain_graph

    ensemble_model = model(kind, regions, 3)
    spectra = RNG.normal(size=(7, 80)).astype(np.float32)
    exported = fast_graph.build(ensemble_model, "toy", "0", half, kernels=True)
    ours = [node.op_type for node in exported.graph.node if node.domain == operators.DOMAIN]
    assert ours.count("ResidualBlocks") == 3
    assert ours.count("Recurrence") == (3 if kind == "rrnet" else 0)
    plain = run(plain_graph.build(ensemble_model, "toy", "0", half), spectra)
    for found, expected in zip(run(exported, spectra), plain, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_eight_bits_move_labels_little_and_a_row_alone_not_at_all():
    pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph

    ensemble_model = model("rrnet", 2, 3)
    spectra = RNG.normal(size=(9, 80)).astype(np.float32)
    exported = fast_graph.build(ensemble_model, "toy", "0", calibration=spectra)
    labels_found, sigma = run(exported, spectra)[:2]
    expected = ensemble_model(spectra)
    assert np.abs(labels_found - expected["labels"]).max() > 0
    assert (np.abs(labels_found - expected["labels"]) / expected["sigma"]).max() < 0.05
    assert np.abs(sigma / expected["sigma"] - 1).max() < 0.05
    for row in range(9):
        # Integers add up the same in every order, and the steps are fixed.
        np.testing.assert_allclose(
            run(exported, spectra[row : row + 1])[0][0], labels_found[row], atol=1e-6
        )


def test_a_row_does_not_depend_on_its_batch():
    pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph

    ensemble_model = model("rrnet", 1, 3)
    exported = fast_graph.build(ensemble_model, "toy", "0")
    spectra = RNG.normal(size=(9, 80)).astype(np.float32)
    together = run(exported, spectra)
    for row in range(9):
        alone = run(exported, spectra[row : row + 1])
        for ours, whole in zip(alone, together, strict=True):
            np.testing.assert_allclose(ours[0], whole[row], atol=1e-6)


def test_equal_trunks_are_found_and_unequal_ones_kept_apart():
    pytest.importorskip("onnx")
    from starmill_export.rrnet import fast_graph

    tuned = model("rrnet", 4, 3)
    shared = fast_graph.shared_trunks(tuned)
    assert [len(trunk.users) for trunk in shared] == [4, 4, 4]
    changed = dict(tuned.regions[2][1])
    changed["rnn.bias_hh_l0"] = changed["rnn.bias_hh_l0"].copy()
    changed["rnn.bias_hh_l0"][0] = np.nextafter(changed["rnn.bias_hh_l0"][0], np.float32(1))
    tuned.regions[2][1] = changed
    shared = fast_graph.shared_trunks(tuned)
    assert sorted(len(trunk.users) for trunk in shared) == [1, 3, 4, 4]
