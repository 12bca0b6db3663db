"""google.colab.files: what lies in uploads/ is what the person chooses."""

import os
from pathlib import Path

HOME = Path(os.environ["COLAB_STAND_IN"])


def upload() -> dict[str, bytes]:
    """Every file of uploads/, written to the current folder under a name that is not taken; {} when cancelled."""
    chosen = {path.name: path.read_bytes() for path in sorted((HOME / "uploads").glob("*"))}
    for name, data in chosen.items():
        path, number = Path(name), 0
        while path.exists():
            number += 1
            path = Path(f"{Path(name).stem} ({number}){Path(name).suffix}")
        path.write_bytes(data)
        print(f"Saving {name} to {path}")
    return chosen


def download(filename: str) -> None:
    """Would send the file to the browser."""
    if not os.path.exists(filename):
        raise FileNotFoundError(f"Cannot find file: {filename}")
