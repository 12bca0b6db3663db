"""The two front ends in which the notebooks are driven: today's JupyterLab, and the generation that Colab has."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# widgetsnbextension 3.6.10, which pip would take, shows no widget in notebook 6.5.
COLABS_GENERATION = (
    "notebook==6.5.7",
    "ipywidgets==7.7.1",
    "widgetsnbextension==3.6.6",
    "ipykernel==6.17.1",
    "ipython==7.34.0",
    "jupyter_client==7.4.9",
)


def colabs_python(folder: Path) -> Path:
    """A Python with notebook 6.5 and ipywidgets 7.7.1, which takes all else from the one that runs this."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    outer = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("\n".join(outer))
    subprocess.run([python, "-m", "pip", "install", "-q", *COLABS_GENERATION], check=True, timeout=500)
    return python


@contextmanager
def served(python: Path, folder: Path, lab: bool):
    """A notebook server on a folder; gives its address, and ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = "ServerApp" if lab else "NotebookApp"
    module = "jupyterlab" if lab else "notebook"
    options = [
        f"--{app}.{name}" for name in (f"port={port}", "port_retries=0", "token=", "password=", "open_browser=False")
    ]
    options += [f"--{app}.allow_root=True", f"--{app}.{'root_dir' if lab else 'notebook_dir'}={folder}"]
    if lab:
        options += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    homes = {f"JUPYTER_{kind}_DIR": str(folder / f".{kind.lower()}") for kind in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **homes, "IPYTHONDIR": str(folder / ".ipython")}
    path = environment["PYTHONPATH"].split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(p for p in path if p != str(ROOT))  # the notebook finds it by itself
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [python, "-m", module, *options], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await(f"{url}/api/status" if lab else f"{url}/api", server, folder / "server.log")
            yield url
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _await(url: str, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the notebook server ended:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"the notebook server does not answer:\n{log.read_text()[-2000:]}")


def lay_out(folder: Path) -> Path:
    """The package and the notebooks in a folder, as in a checkout; returns the folder of the notebooks."""
    folder.mkdir(parents=True)
    (folder / "lipgan_colab").symlink_to(ROOT / "lipgan_colab")
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    shutil.copyfile(ROOT / "notebooks" / "03_generate.ipynb", notebooks / "03_generate.ipynb")
    return notebooks
