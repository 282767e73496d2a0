"""What a benchmark ran on: processor, memory, and versions of all that has a say."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import tomllib
from pathlib import Path


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0))


def output_of(*command: str) -> str:
    """Return what a command prints, or a dash where it cannot be run."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "-"
    return answer.stdout.strip()


def field_of(path: str, key: str, separator: str) -> str:
    """Return the value of the first line of a file that begins with a key."""
    for line in Path(path).read_text().splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip().strip('"')
    return "-"


def describe(starmill: Path, model: Path) -> dict[str, str]:
    """Return the description, one entry a line of a table."""
    manifest = tomllib.loads((model / "manifest.toml").read_text())
    onnx = hashlib.sha256((model / manifest["files"]["onnx"]["path"]).read_bytes()).hexdigest()
    memory_kib = int(field_of("/proc/meminfo", "MemTotal", ":").split()[0])
    packages = ("numpy", "astropy", "onnxruntime", "pyarrow")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return {
        "processor": field_of("/proc/cpuinfo", "model name", ":"),
        "cores": str(cores()),
        "memory": f"{memory_kib / 2**20:.0f} GiB",
        "system": f"{field_of('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release()}",
        "starmill": output_of(str(starmill), "--version"),
        "rustc": output_of("rustc", "--version"),
        "CFITSIO": output_of("pkg-config", "--modversion", "cfitsio"),
        "baseline": f"Python {platform.python_version()}, {versions}",
        "model": f"{manifest['name']} {manifest['version']}, SHA-256 {onnx[:16]}",
    }
