"""Sections of the card that are tables alone: calibrated errors, and what 8 bits change."""

NEAR = (0.9, 1.1)
"""Pulls within which sigma is taken to mean what it says."""


def calibration(summary: dict) -> list[str]:
    """Pulls before and after the calibration, by label and S/N; nothing where there was none."""
    if summary["calibration"] == "none":
        return ["", "Errors are those of equation 3, not calibrated (`--calibration none`)."]
    ranges = summary["held_out"]
    lines = [
        "",
        "## Calibrated errors",
        "",
        "By equation 3 sigma is too wide on spectra like those of the training set: dropout and",
        "noise on the pixels widen it in training. The exported sigma and covariance are scaled,",
        "label by label, by a function of sigma and of the roughness of the spectrum that was",
        "fitted on the *synthetic* validation spectra. Pulls on the *synthetic* test spectra, by",
        "equation 3 -> as exported; 1 is right:",
        "",
        "| label | " + " | ".join(ranges) + " |",
        "| --- " * (len(ranges) + 1) + "|",
    ]
    for name in summary["labels"]:
        cells = [
            f"{part[name]['pull_equation_3']:.2f} -> {part[name]['pull']:.2f}"
            for part in ranges.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    pulls = [part[name]["pull"] for part in ranges.values() for name in summary["labels"]]
    inside = sum(NEAR[0] <= pull <= NEAR[1] for pull in pulls)
    return [
        *lines,
        "",
        f"{inside} of {len(pulls)} exported pulls lie within {NEAR[0]} to {NEAR[1]}. Real spectra",
        "differ from these in ways that no sigma here knows of: on them it is a lower bound.",
    ]


def eight_bits(summary: dict) -> list[str]:
    """How far the 8-bit graph moves the labels, where there is one."""
    moved = summary["shift_in_sigma"].get("eight bits")
    if moved is None:
        return []
    figures = ("median", "99 %", "largest")
    lines = [
        "",
        "## The 8-bit graph",
        "",
        "It is not shipped. On the trained weights and *synthetic* test spectra it moves the",
        "labels of the float32 graph by so many sigma (as exported), and sigma itself by at most:",
        "",
        "| label | " + " | ".join(figures) + " | sigma |",
        "| --- " * (len(figures) + 2) + "|",
    ]
    for name, found in moved.items():
        cells = " | ".join(f"{found[figure]:.3f}" for figure in figures)
        lines.append(f"| {name} | {cells} | {found['sigma']:.1%} |")
    return lines
