"""How rows of a regressor are held against a forward model, and from where a row is called poor.

`section` is what a manifest says of it; `cli` finds the limits anew and writes them to
`data/consistency.json`, from which manifests take them. `stars` are synthetic spectra and what a
regressor may say of them, `compare` the comparison of `src/fit/consistency.rs` written apart,
`limits` the curves that one in a hundred good rows exceeds.
"""

import json
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data" / "consistency.json"
"""By model: label errors on held-out spectra, what is beside star and noise, and limits."""

UNKNOWN = 0.3
"""Error of a label that is not among them, dex."""

KEYS = (
    "model",
    "errors",
    "scatter",
    "rv_error",
    "skip",
    "unmodelled",
    "limit",
    "region_limit",
    "region_factors",
    "false_alarm",
)


def section(model: str, names: list[str]) -> dict:
    """The table [consistency] of the manifest of a regressor with these labels."""
    given = json.loads(DATA.read_text(encoding="utf-8"))[model]
    errors = [given["errors"].get(name, UNKNOWN) for name in names]
    return {key: errors if key == "errors" else given[key] for key in KEYS}


def renew(model: str, errors: dict[str, float]) -> None:
    """State other errors of labels, by name; the limits stay until `cli` finds them anew."""
    data = json.loads(DATA.read_text(encoding="utf-8"))
    data[model]["errors"] = errors
    DATA.write_text(text(data), encoding="utf-8")


def text(data: dict) -> str:
    """The data as they are written: a line for each key."""
    models = []
    for model, given in data.items():
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in given.items()]
        models.append(f"{json.dumps(model)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(models) + "\n}\n"
