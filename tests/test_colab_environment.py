"""On Colab's own versions of everything: installing changes nothing that is there, and the package works.

It takes a Python 3.13, the network and some minutes, so it runs with LIPGAN_THOROUGH=1 alone. LIPGAN_COLAB_PYTHON names
the interpreter, LIPGAN_COLAB_ENVIRONMENT an environment that was made before.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from notebook_runs import NAMES, all_five, errors_in, execute, pictures_in, small_material

ROOT = Path(__file__).resolve().parents[1]
# What the package imports of Colab's image, and what that needs.
PACKAGES = """
    absl-py anywidget backcall beautifulsoup4 certifi cffi charset-normalizer contourpy cryptography cycler debugpy
    decorator filelock flatbuffers fonttools fsspec gdown h5py idna imageio ipykernel ipython ipython-genutils
    ipywidgets jinja2 jupyter-client jupyter-core jupyterlab-widgets kiwisolver lazy-loader markupsafe matplotlib
    matplotlib-inline mpmath nest-asyncio networkx numpy opencv-contrib-python opencv-python opencv-python-headless
    packaging parso pexpect pickleshare pillow platformdirs prompt-toolkit protobuf psutil psygnal ptyprocess
    pycparser pygments pyparsing pysocks python-dateutil pyzmq requests safetensors scikit-image scipy setuptools
    six soupsieve sympy tifffile tornado tqdm traitlets typing-extensions urllib3 wcwidth widgetsnbextension xxhash
"""

IMPORTS = """
import importlib, pkgutil, sys, lipgan_colab
for module in pkgutil.walk_packages(lipgan_colab.__path__, "lipgan_colab."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert error.name in sys.argv[1:], f"{module.name}: {error}"
"""
SEES_AND_HEARS = """
import sys
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.speech.features import mfcc
with FaceFinder() as finder:
    found = finder.find(next(iter(resample_frames(read_video(sys.argv[1]), 25))))
assert len(found) == 1
features = mfcc(read_speech(sys.argv[2]))
assert features.shape[0] == 12 and abs(features).max() < 100
"""
GENERATES = """
import sys
from lipgan_colab import generate
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import save_generator
save_generator(sys.argv[3] + ".safetensors", LipGANGenerator(GeneratorConfig(0.02)), {"step": 0})
report = generate(sys.argv[1], sys.argv[2], sys.argv[3] + ".safetensors", sys.argv[3] + ".mp4")
assert 70 <= report.frames <= 76, report
"""


def run(*command, **options) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def colab_python(tmp_path_factory) -> Path:
    """The Python of an environment with Colab's versions, into which the requirements have been installed."""
    if not os.environ.get("LIPGAN_THOROUGH"):
        pytest.skip("takes minutes and the network: LIPGAN_THOROUGH=1")
    pins = ROOT.parent / "shared" / "colab" / "colab-constraints.txt"
    if not pins.is_file():
        pytest.skip("Colab's list of packages is not beside the checkout")
    made_before = os.environ.get("LIPGAN_COLAB_ENVIRONMENT")
    folder = Path(made_before) if made_before else tmp_path_factory.mktemp("colab")
    python = folder / "bin" / "python"
    if not made_before:
        interpreter = os.environ.get("LIPGAN_COLAB_PYTHON") or shutil.which("python3.13")
        if interpreter is None:
            pytest.skip("no Python 3.13 (LIPGAN_COLAB_PYTHON names one)")
        run(interpreter, "-m", "venv", folder)
        versions = dict(re.findall(r"^([\w.-]+)==(\S+)", pins.read_text(), re.MULTILINE))
        wanted = [f"{name}=={versions[name]}" for name in versions if canonical(name) in PACKAGES.split()]
        run(python, "-m", "pip", "install", "-q", "--no-deps", *wanted)
        torch = ("install", "-q", f"torch=={versions['torch'].partition('+')[0]}", "-c", pins)
        subprocess.run([python, "-m", "pip", *torch], capture_output=True, check=False)  # or it is left out
    return python


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def packages(python: Path) -> set[str]:
    return set(run(python, "-m", "pip", "freeze").split())


def has_torch(python: Path) -> bool:
    return not subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode


@pytest.mark.timeout(3600)
def test_installing_changes_nothing_and_the_package_works(colab_python, shared, tmp_path):
    ours = re.findall(r"^([\w-]+)==", (ROOT / "requirements-colab.txt").read_text(), re.MULTILINE)
    run(colab_python, "-m", "pip", "uninstall", "-q", "-y", *ours)
    before = packages(colab_python)
    run(colab_python, "-m", "pip", "install", "-q", "--no-deps", "-r", ROOT / "requirements-colab.txt")
    after = packages(colab_python)
    assert before <= after
    assert {canonical(line.partition("==")[0]) for line in after - before} == set(map(canonical, ours))

    here = {"cwd": tmp_path}
    face = shared / "data" / "grid" / "others" / "bbaf2n.mpg"
    torch = has_torch(colab_python)
    run(colab_python, "-c", IMPORTS, *([] if torch else ["torch"]), **here)
    run(colab_python, "-c", SEES_AND_HEARS, face, shared / "data" / "speech" / "jfk.flac", **here)
    if torch:
        run(colab_python, "-c", GENERATES, face, face, tmp_path / "talking", **here)
    else:
        print("no torch to be had for this Python: generating was left out")


@pytest.mark.timeout(3600)
def test_the_notebooks_run_in_it(colab_python, tmp_path, monkeypatch):
    if not has_torch(colab_python):
        pytest.skip("no torch to be had for this Python")
    kernel = tmp_path / "kernels" / "colab"
    kernel.mkdir(parents=True)
    command = [str(colab_python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": command, "display_name": "Colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(about))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    notebooks = all_five(small_material(tmp_path), steps=4, workspace_name="mine")
    for name, notebook in zip(NAMES, notebooks, strict=True):
        execute(notebook, tmp_path, {}, kernel="colab")
        assert not errors_in(notebook), name
        assert pictures_in(notebook), name
