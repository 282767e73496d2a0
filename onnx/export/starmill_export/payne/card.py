"""The model card: what the net is, what it learnt from, and what is known of its errors."""

import itertools

import numpy as np

from starmill_export.payne import compare, folder, giants, net, prior
from starmill_export.payne.pipeline import Made
from starmill_export.payne.prior import Source

TEFF_EDGES = [3800, 4200, 4600, 5000, 5500, 6000, 6500]


def held_out(model: net.Shared, made: Made) -> list[dict]:
    """Errors of flux by range of Teff."""
    error = model(made.held_out_labels) - made.held_out
    return by_temperature(made.held_out_labels[:, 0], error, made.held_out)


def by_temperature(teff: np.ndarray, error: np.ndarray, flux: np.ndarray) -> list[dict]:
    """rms, that of the median star and of the worst in a hundred, and the spread of flux."""
    of_star = np.sqrt((error**2).mean(axis=1))
    rows = []
    for low, high in itertools.pairwise(TEFF_EDGES):
        inside = (teff >= low) & (teff < high)
        if not inside.any():
            continue
        rows.append(
            {
                "teff": [low, high],
                "stars": int(inside.sum()),
                "rms": float(np.sqrt((of_star[inside] ** 2).mean())),
                "median": float(np.median(of_star[inside])),
                "worst": float(np.quantile(of_star[inside], 0.99)),
                "spread": float(flux[inside].std(axis=0).mean()),
            }
        )
    return rows


def text(source: Source, model: net.Shared, findings: dict) -> str:
    """The card of a model from what `cli` found."""
    kind = folder.KINDS[source.name]
    lines = [
        f"# {kind.title}",
        "",
        f"{folder.PAPER}.",
        "",
        f"One hidden layer of sigmoid nodes, {model.parameters:,} parameters: from",
        f"{len(source.names)} labels to {len(source.wave)} pixels, vacuum, at rest. The graph",
        "gives the flux and its Jacobian.",
        "",
        "**Trained on synthetic spectra alone.** The errors below are of the net against spectra",
        "of the same source that it has not seen. What they say of real stars is a lower limit:",
        "line lists, one-dimensional LTE and the instrument add to it.",
        "",
    ]
    lines += _giants() if source.name == "payne" else _arms()
    lines += ["", "## Error of normalised flux", "", *_errors(findings["held_out"])]
    lines += [
        "",
        f"The output layer is stored in half precision, which moves the flux by "
        f"{findings['half_precision']:.1e} (rms).",
    ]
    if "left_out" in findings:
        lines += ["", "The emulator that it learnt from, on syntheses left out in turn:", ""]
        lines += _errors(findings["left_out"])
        lines += [
            "",
            "Both errors, in quadrature, are the `model_error` of the manifest and, by pixel, of",
            f"`model_error.f32`: of stars above {findings['trusted']:.0f} K. In cooler "
            "ones the error",
            "is several times larger, and a poor chi-square says little there.",
        ]
    if "layers" in findings:
        lines += ["", "## One hidden layer for all pixels, or one for each", "", *_layers(findings)]
    lines += ["", "## Gradients against theory", "", *_gradients(source, findings)]
    return "\n".join(lines) + "\n"


def _giants() -> list[str]:
    low, high = giants.WINDOW
    return [
        "- Source: bossbrain 1.0.12 (SYNSPEC giants), at R = 1800 on LAMOST's logarithmic pixels.",
        f"- Window {low:.0f}-{high:.0f} A: bluer, LAMOST's giants have little light; redder, water",
        "  and few lines. Telluric bands are the fit's to mask: the pixels here are at rest.",
        "- Normalisation: divided by itself smoothed with a Gaussian of 50 A FWHM, every pixel of",
        "  equal weight, with 125 A of spectrum beyond both ends of the window. Data are to be",
        "  divided alike.",
        "- Box: abundances within 0.5 dex of [Fe/H]; iron is bossbrain's [M/H]. Sodium and all",
        "  other elements follow iron. A net does not know where it was trained: labels inside",
        "  every single range, but with [X/Fe] beyond 0.5 dex, are outside.",
        "- Carbon stars (below 5300 K with [C/O] above 0.2) were left out.",
        "- No label is a rotation, a macroturbulence or a microturbulence.",
    ]


def _arms() -> list[str]:
    return [
        "- Source: the emulator of RRNet's training set, a Gaussian process on SYNSPEC54 syntheses",
        "  (one-dimensional LTE). Microturbulence is 2.0 - 0.25 logg km/s. No rotation.",
        "- Flux over the continuum of the model atmosphere. Data have no such continuum: divide",
        "  both by a pseudo-continuum of one recipe.",
        "- RRNet's windows with 5 A more at each end, 0.1 A.",
        "- Box: RRNet's; abundances within 0.42 dex of the Galaxy's trend with iron. Carbon stars",
        "  were left out. Sulphur and potassium hardly change these spectra.",
        "- It is no model to measure labels with: `starmill run` uses it to say how well the",
        "  labels of a row reproduce its spectrum. There is no `[fit]` section.",
        "- Below 4500 K the emulator is the limit; carbon, nitrogen and oxygen of giants are not",
        "  to be trusted (onnx/export/README.md).",
    ]


def _errors(rows: list[dict]) -> list[str]:
    lines = [
        "| Teff (K) | stars | rms | median star | worst in 100 | spread of flux |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        low, high = row["teff"]
        cells = " | ".join(f"{row[name]:.4f}" for name in ("rms", "median", "worst", "spread"))
        lines.append(f"| {low}-{high} | {row['stars']} | {cells} |")
    return lines


def _layers(findings: dict) -> list[str]:
    lines = [
        "The paper gives every pixel a hidden layer of its own, 100 nodes wide. Held-out error at",
        "the same pixels, of nets trained on the same noise-free spectra; the net for each pixel",
        f"saw {findings['per_pixel_plan']}, the others {findings['shared_plan']}.",
        "It is not trained to the end, and its error is no verdict on the published net.",
        "",
        "| hidden layer | parameters, all pixels | rms |",
        "| --- | --- | --- |",
    ]
    for title, row in findings["layers"].items():
        lines.append(f"| {title} | {row['parameters']:,} | {row['rms']:.4f} |")
    return lines


def _gradients(source: Source, findings: dict) -> list[str]:
    teff, logg = source.references[0, :2]
    columns = {"this model": findings["correlation"]}
    lines = [
        f"Correlation of gradient spectra with the source's at {teff:.0f} K, logg {logg:g}, solar,",
        "for steps of 200 K, 0.5 and 0.2 dex: the paper's figure 3.",
    ]
    if "figure_3" in findings:
        shared, own = compare.EVERY["shared"], compare.EVERY["per pixel"]
        noisy = findings["figure_3"]
        columns |= {
            title: row["correlation"]
            for title, row in findings.get("layers", {}).items()
            if "no prior" in title
        }
        columns |= {f"noisy: {title}": row["correlation"] for title, row in noisy.items()}
        lines += [
            "",
            "The columns `noisy` are the paper's task: 500 K giants with the correlations of the",
            "Galaxy, S/N 200 a pixel, the prior at one reference point, nets of 100 nodes, briefly",
            f"trained. To save time they look at every {shared}th pixel (shared) and at every",
            f"{own}th (per pixel). Error on such stars, free of noise and not trained on:",
            "",
            *(f"- {title}: {row['rms']:.4f}" for title, row in noisy.items()),
            "",
            "The text of the paper at hand lacks its equation 2; the prior follows its words:",
            f"D_scale = {prior.D_SCALE:g} times the squared departure over S/N 200 noise times the",
            "theoretical gradient. Features that theory does not know cost much; the strength of",
            "those that it knows is the data's.",
        ]
    lines += ["", "| label | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for name in source.names:
        cells = " | ".join(f"{column[name]:.2f}" for column in columns.values())
        lines.append(f"| {name} | {cells} |")
    medians = " | ".join(f"{np.median(list(column.values())):.2f}" for column in columns.values())
    lines.append(f"| median | {medians} |")
    return lines
