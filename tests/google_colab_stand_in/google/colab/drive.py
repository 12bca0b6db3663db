"""google.colab.drive: mounting as the real one does it, and how that fails."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from lipgan_colab import workspace

HOME = Path(os.environ["COLAB_STAND_IN"])
SERVER = Path(__file__).parents[2] / "drive_server.py"
workspace.DRIVE, workspace.COLAB_DISK = HOME / "drive", HOME / "disk"  # no test machine has a /content


class MessageError(Exception):
    """What google.colab raises where the browser says no."""


def mount(mountpoint: str, force_remount: bool = False, timeout_ms: int = 120_000, readonly: bool = False) -> None:
    """Mount Drive, as answers.json says."""
    if not force_remount and os.path.isdir(f"{mountpoint}/My Drive"):
        print(f"Drive already mounted at {mountpoint}; to attempt to forcibly remount, call drive.mount(...).")
        return
    answer = _next_answer()
    if answer == "declined":
        raise MessageError("Error: credential propagation was unsuccessful")
    _unmount(mountpoint)
    if os.path.isdir(mountpoint) and os.listdir(mountpoint):
        raise ValueError("Mountpoint must not already contain files")
    if answer == "timeout":
        raise ValueError("mount failed: timeout during initial read of root folder; for more info: https://…")
    if answer == "policy":
        raise ValueError("mount failed: The domain policy has disabled Drive File Stream: https://…")
    os.makedirs(mountpoint, exist_ok=True)
    (HOME / "of_drive" / "MyDrive").mkdir(parents=True, exist_ok=True)
    subprocess.Popen(
        [sys.executable, SERVER, HOME / "of_drive", mountpoint, HOME / "disconnect"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # the notebook's stop button does not reach it
    )
    deadline = time.monotonic() + timeout_ms / 1000
    while not os.path.ismount(mountpoint):
        if time.monotonic() > deadline:
            raise ValueError("mount failed")
        time.sleep(0.05)
    print(f"Mounted at {mountpoint}")


def flush_and_unmount(timeout_ms: int = 24 * 60 * 60 * 1000) -> None:
    """Unmount Drive."""
    _unmount(str(HOME / "drive"))


def _unmount(mountpoint: str) -> None:
    subprocess.run(["fusermount3", "-u", "-z", mountpoint], check=False, stderr=subprocess.DEVNULL)


def _next_answer() -> str:
    path = HOME / "answers.json"
    answers = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps(answers[1:]))
    return answers[0] if answers else "yes"
