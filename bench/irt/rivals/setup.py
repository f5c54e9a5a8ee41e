"""Make one virtual environment per rival: `python bench/irt/rivals/setup.py [NAME ...]` (Python 3.11 wanted).

They go to the folder named by LLEVAL_RIVALS, by default .rivals/ in the checkout.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

TORCH = "torch==2.13.0"
REQUIREMENTS: dict[str, list[list[str]]] = {  # one pip call per inner list; torch alone and first
    "mirt": [["mirt==1.2.0", "numpy==2.4.6", "scipy==1.17.1"]],
    "theta_irt": [["theta-irt==0.1.1", "jax==0.10.2", "jaxlib==0.10.2", "numpy==2.4.6"]],
    "girth": [["girth==0.8.0", "numpy==2.4.6", "scipy==1.17.1"]],
    "py_irt": [[TORCH], ["py-irt==0.7.1", "pyro-ppl==1.9.2", "numpy==2.4.6"]],
    "torch_measure": [[TORCH], ["torch-measure==0.1.0", "numpy==2.4.6"]],
    "baseline": [["jax==0.10.2", "jaxlib==0.10.2", "numpy==2.4.6", "scipy==1.17.1"]],
}


def folder() -> pathlib.Path:
    """Where the environments are."""
    checkout = pathlib.Path(__file__).resolve().parents[3]
    return pathlib.Path(os.environ.get("LLEVAL_RIVALS", checkout / ".rivals"))


def interpreter(name: str) -> pathlib.Path:
    """The Python of a rival's environment."""
    return folder() / name / "bin" / "python"


def install(name: str) -> None:
    """Make the environment unless it is there with the same pins."""
    home, stamp = folder() / name, folder() / name / "installed.txt"
    wanted = "\n".join(" ".join(call) for call in REQUIREMENTS[name])
    if stamp.exists() and stamp.read_text() == wanted:
        return print(f"{name}: already there")
    python = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if python is None:
        raise SystemExit("the rivals' common Python is 3.11: run this script with python3.11")
    subprocess.run([python, "-m", "venv", "--clear", str(home)], check=True)
    for call in REQUIREMENTS[name]:
        subprocess.run([interpreter(name), "-m", "pip", "install", "--quiet", *call], check=True)
    stamp.write_text(wanted)
    print(f"{name}: installed")


if __name__ == "__main__":
    failed = []
    for name in sys.argv[1:] or REQUIREMENTS:
        try:
            install(name)
        except subprocess.CalledProcessError:
            failed.append(name)
    if failed:
        raise SystemExit(f"not installed: {', '.join(failed)}")
