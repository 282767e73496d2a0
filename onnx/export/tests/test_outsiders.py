"""What is no star is told apart by the model of the repository, and ordinary stars are not."""

import numpy as np
import pytest
from conftest import MODEL

from starmill_export import evaluate, findings, lamost, manifest, outsiders, prepare

SEED = 71
"""Not that of the card."""

GOOD_SNR = 20.0


@pytest.fixture(scope="module")
def outputs():
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(MODEL / "model.onnx")

    def run(inputs):
        names = ["labels", "novelty", "sigma"]
        return session.run(names, {"spectrum": inputs.astype(np.float32)})

    return run


def flagged(found):
    return findings.outside_rows(found[0], found[1])


LEAST = dict.fromkeys(outsiders.DRAWS, 0.95) | {"flats: white": 0.7}
"""What is left of a spectrum without slope and lines is its calibration error, as a star has it."""


@pytest.mark.parametrize("kind", outsiders.DRAWS)
def test_synthetic_outsiders_are_flagged(outputs, kind):
    drawn = outsiders.synthetic(manifest.RECIPE, SEED, count=100)[kind]
    assert np.mean(flagged(outputs(drawn.inputs))) >= LEAST[kind]


@pytest.fixture(scope="module")
def real(real_data, outputs):
    """Observations that the recipe accepts, and what the model says of them."""
    observations, inputs = [], []
    for path in sorted(real_data.glob("lrs_*/*.fits*")):
        observation = lamost.read(path)
        try:
            inputs.append(prepare.prepare(observation.spectrum, manifest.RECIPE).input)
        except prepare.Reject:
            continue
        observations.append(observation)
    return observations, outputs(np.array(inputs))


def test_ordinary_stars_pass(real):
    observations, found = real
    ordinary = np.array(
        [
            seen.object_class == "STAR"
            and seen.snr_g >= GOOD_SNR
            and seen.subclass[:1] in ("F", "G", "K")
            for seen in observations
        ]
    )
    assert ordinary.sum() > 80
    assert np.mean(found[1][ordinary] > 1) < 0.05


def test_galaxies_and_m_dwarfs_are_flagged(real):
    observations, found = real
    star = np.array([seen.object_class == "STAR" for seen in observations])
    cool = np.array([evaluate.is_cool_dwarf(seen.subclass) for seen in observations])
    assert flagged(found)[~star].all()
    assert np.mean(flagged(found)[cool]) > 0.9


def test_other_surveys_misread_are_flagged(real_data, outputs):
    kinds = outsiders.other_surveys(real_data, manifest.RECIPE)
    misread = kinds["SDSS and DESI, misread pixel by pixel"]
    assert len(misread.inputs) >= 3
    assert flagged(outputs(misread.inputs)).all()


def test_labels_of_dwarfs_are_those_of_lasp_within_their_errors(real, real_data):
    observations, (labels, _, sigma) = real
    seen = evaluate.RealSpectra(observations, labels, labels, labels[:, 0], sigma, {})
    lasp, lasp_errors = evaluate.lasp_labels(real_data, seen)
    bright = np.array([seen.snr_g >= GOOD_SNR for seen in observations])
    dwarfs = bright & (lasp[:, 1] >= evaluate.GIANT_LOGG) & (lasp[:, 0] < 7300)
    found = evaluate.agreement(seen, lasp, lasp_errors, dwarfs)
    assert found.count > 10
    assert (np.abs(found.median) < [150, 0.3, 0.25]).all(), found.median
    assert (found.within[1] > 0.7).all(), found.within
