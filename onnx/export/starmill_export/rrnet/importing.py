"""A model folder from published weights: `SP0/weight_best.pkl`, `CA0/weight_best.pkl`, ...

Nothing is trained, fitted or calibrated: labels and sigma are those of the published code, equation
3 over the nets of each kind, and for SPEMR the region of smallest variance for every label.
"""

import hashlib
from pathlib import Path

import numpy as np

from starmill_export import manifest
from starmill_export.rrnet import fast_graph, folder, joined, labels, net, published, recipe_golden
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.joined import Joined
from starmill_export.rrnet.network_file import Ensemble

KINDS = {"SP": 3, "CA": None}
"""Nets of the published code and how many labels they give: Teff, log g, [Fe/H], and the rest."""

SEED = 1


UNMEASURED: dict[str, float] = {}
"""What published weights know of each label: there is no training set here to tell."""


def read(family: str, weights: list[Path], label_config: Path) -> Joined:
    """The model of the folders that hold SP0, CA0, ...: one for RRNet, one a region for SPEMR.

    Raises ValueError where folders, nets or labels do not fit together; pickle.UnpicklingError
    where a file asks for anything but tensors and arrays.
    """
    wanted = len(labels.REGIONS) if family == "spemr" else 1
    if len(weights) != wanted:
        raise ValueError(f"{family} has {wanted} folder(s) of nets, not {len(weights)}: name all")
    names = labels.SPEMR if family == "spemr" else labels.RRNET
    scaling = _scaling(published.label_config(label_config), names, label_config)
    groups = []
    for first, kind in [(0, "SP"), (KINDS["SP"], "CA")]:
        last = KINDS[kind] or len(names)
        regions = [published.ensemble(each, kind) for each in weights]
        shapes = {published.shape_of(member) for region in regions for member in region}
        if len(shapes) != 1 or len({len(region) for region in regions}) != 1:
            raise ValueError(f"the {kind} nets differ in number or layers: name like folders")
        shape = shapes.pop()
        if shape.labels != last - first:
            raise ValueError(
                f"the {kind} nets give {shape.labels} labels, {family} has {last - first}: "
                "choose the other --family"
            )
        own = Scaling(
            scaling.pixel_mean,
            scaling.pixel_spread,
            scaling.label_mean[first:last],
            scaling.label_spread[first:last],
        )
        groups.append(Ensemble(regions, shape, own))
    return Joined(groups, scaling)


def _scaling(content: dict, names: list[str], path: Path) -> Scaling:
    missing = [name for name in names if name not in content["label_list"]]
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(missing)}: choose the other --family")
    columns = [content["label_list"].index(name) for name in names]
    vectors = content["flux_mean"], content["flux_std"]
    if any(vector.shape != (net.PUBLISHED.pixels,) for vector in vectors):
        raise ValueError(f"{path}: flux_mean and flux_std need 7200 values: fetch the file again")
    return Scaling(*vectors, content["label_mean"][columns], content["label_std"][columns])


def write(
    model: Joined, family: str, version: str, weights: list[Path], half: bool, target: Path
) -> None:
    """Write the model folder; `half` stores weights as float16, which halves the file."""
    names = labels.SPEMR if family == "spemr" else labels.RRNET
    if half:
        model = Joined([group.rounded() for group in model.groups], model.scaling)
    build = fast_graph.build
    graphs = [build(group, family, version, half) for group in model.groups]
    vectors = np.concatenate([model.scaling.pixel_mean, model.scaling.pixel_spread]).astype("<f4")
    spectra = np.random.default_rng(SEED).normal(size=(folder.GOLDEN_ROWS, len(vectors) // 2))
    files = {
        "onnx": joined.build(graphs, family, version).SerializeToString(deterministic=True),
        "scale": vectors.tobytes(),
        "golden": folder.golden(model, spectra),
        "recipe_golden": recipe_golden.content(folder.recipe("c"), vectors.tobytes()),
        "card": _card(family, model).encode(),
    }
    provenance = {
        "command": f"./onnx/export/train-rrnet.sh import --family {family}",
        "weights": _digest(weights),
        "errors": "equation 3 of the paper",
    }
    text = folder.manifest_text(
        family, names, "c", version, files, model, UNMEASURED, provenance, trained_on="real"
    )
    manifest.write_folder(target, files, text, folder.FILE_NAMES)


def _digest(weights: list[Path]) -> str:
    """SHA-256 of all weight files, in the order of their names."""
    digest = hashlib.sha256()
    for each in weights:
        for path in sorted(each.glob(f"*/{published.WEIGHTS}")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _card(family: str, model: Joined) -> str:
    nets = " + ".join(str(len(group.regions[0])) for group in model.groups)
    regions = len(model.groups[0].regions)
    return "\n".join(
        [
            f"# {folder.TITLES[family]}, published weights",
            "",
            f"{folder.PAPERS[family]}. {regions} x ({nets}) nets: one kind for Teff, log g and",
            "[Fe/H], the other for the abundances. Read from the authors' files, neither trained",
            "nor calibrated here, and no figure of theirs was measured anew. Sigma is that of",
            "equation 3. The two kinds scatter independently, so the covariance between labels of",
            "different kinds is zero. There is no measure of novelty: it needs the training",
            "spectra, which are not published.",
            "",
        ]
    )
