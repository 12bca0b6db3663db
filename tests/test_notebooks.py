"""The notebooks, run from top to bottom as their readers run them: here, and on a Colab that is played."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from bad_drive import why_not
from notebook_runs import (
    NAMES,
    NOTEBOOKS,
    SMALL,
    all_five,
    errors_in,
    execute,
    filled_in,
    one_after_the_other,
    pictures_in,
    press_stop,
    small_material,
    text_of,
)

from lipgan_colab.evaluation.judges.key import read_key
from lipgan_colab.models.weights import load_generator
from lipgan_colab.notebook.timings import QUICK_MINUTES, filled
from lipgan_colab.training.checkpoint import find_checkpoints, is_whole
from lipgan_colab.training.runs import read_log

sys.path.insert(0, str(NOTEBOOKS))
from build import SOURCES, badge, build, repository
from build import text_of as file_of

pytestmark = pytest.mark.timeout(1800)
ROOT = NOTEBOOKS.parent


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_what_its_source_says(name):
    made = (NOTEBOOKS / f"{name}.ipynb").read_text()
    assert made == file_of(build(SOURCES / f"{name}.md")), "run python notebooks/build.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_fit_for_colab(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    assert notebook.metadata["accelerator"] == "GPU" and notebook.metadata["colab"]["toc_visible"]
    head, inputs, setup = notebook.cells[:3]
    assert badge(name) in head.source and "What you get" in head.source and "How long" in head.source
    assert "# @param" in inputs.source and "import " not in inputs.source
    assert setup.source.startswith("# @title Setup")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(re.match(r"# @title \w", cell.source) and cell.metadata["cellView"] == "form" for cell in code)
    # JupyterLab knows no forms: what is not to be filled in is collapsed there, and what is, is not.
    hidden = [cell.metadata.get("jupyter", {}).get("source_hidden", False) for cell in code]
    assert hidden == [False] + [True] * (len(code) - 1)
    assert "[[" not in str(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_the_address_and_the_version_are_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'version = "v{project["version"]}"  # @param' in (SOURCES / "setup.md").read_text()
    readme = (ROOT / "README.md").read_text()
    assert all(badge(name) in readme for name in NAMES)
    assert repository().startswith("https://github.com/")


def test_the_notebooks_and_the_readme_tell_the_same_times():
    told = " ".join((ROOT / "README.md").read_text().split())
    for line in (
        "preprocess an hour of video, per core | [[MINUTES_PER_HOUR_OF_VIDEO]] | [[GIGABYTES_PER_HOUR_OF_VIDEO]] GB",
        "train motion from 15 minutes of video, shards included | [[MOTION_MINUTES]]",
        "width 0.5 learns from about [[SAMPLES_PER_SECOND]] samples a second on one such core",
        "follow the speech after some [[SAMPLES_TO_FOLLOW]] samples, and still get better after [[SAMPLES_TO_BE_GOOD]]",
    ):
        assert filled(line) in told
    assert f'"quick try: {QUICK_MINUTES} minutes"' in (SOURCES / "02_train.md").read_text()


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> dict[str, Path]:
    return small_material(tmp_path_factory.mktemp("material"))


def last_step(run: Path) -> int:
    return int(read_log(run / "log.csv")[-1]["step"])


def contents(folder: Path, suffix: str = "") -> dict[str, int]:
    """When each file was written."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob(f"*{suffix}") if p.is_file()}


def test_all_five_run_and_run_again(material, tmp_path):
    workspace = tmp_path / "mine"
    run = workspace / "runs" / "tried"

    first = all_five(material, steps=100_000, heat_maps=True, people_study="first", workspace_name="mine")
    for name, notebook in zip(NAMES, first, strict=True):
        # The stop button ends the training, and the cells after it still run.
        execute(notebook, tmp_path, {}, when=run / "log.csv" if name == "02_train" else None, then=press_stop)
        assert not errors_in(notebook), name
        assert pictures_in(notebook), name
    stopped = last_step(run)
    assert 0 < stopped < 100_000 and "stopped after step" in text_of(first[1])
    assert f"tried-step-{stopped}.safetensors" in text_of(first[1])
    assert re.search(rf"last saved [\w ]+ ago \(step {stopped}\)", str(first[1]))
    assert "held back: 1 clip, in" in text_of(first[0]) and 'shards_name = "small"' in text_of(first[0])
    assert "(you asked for it)" in text_of(first[1]) and (run / "speaks.mp4").is_file()
    results = contents(workspace / "results")
    assert sum(name.endswith(".mp4") for name in results) == 2, "a talking face, and heat maps as a film"
    assert pictures_in(first[3]) == 3
    people = workspace / "people" / "first"
    assert (people / "page" / "index.html").is_file() and read_key(people).systems == ("tried", "truth")
    assert "No answers yet" in str(first[3])
    shards = contents(workspace / "shards", ".safetensors")
    study = workspace / "studies" / "references"
    assert "informative: cannot tell: all" in text_of(first[4]) and pictures_in(first[4]) == 3
    assert "Nothing can be told" not in (study / "ablation.md").read_text()
    trained = contents(study, ".safetensors")

    # And once more: all of them in one kernel, which is quicker.
    second = one_after_the_other(*all_five(material, steps=stopped + 2, people_study="first", workspace_name="mine"))
    execute(second, tmp_path, {})
    assert not errors_in(second)
    assert contents(workspace / "shards", ".safetensors") == shards
    assert contents(study, ".safetensors") == trained
    assert f"going on from step {stopped} " in text_of(second)
    assert last_step(run) == stopped + 2
    again = contents(workspace / "results")
    assert results.items() <= again.items(), "a result was written over"
    assert sum(name.endswith("-2.mp4") for name in again) == 1
    assert sum(name.endswith("clips.csv") for name in again) == 2
    assert "this study is there already" in text_of(second)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """The folder of a Colab that is played (see google_colab_stand_in), and the environment of its kernels."""
    if why_not() is not None:
        pytest.skip(f"no FUSE file system here: {why_not()}")
    home = tmp_path / "colab"
    (home / "content").mkdir(parents=True)
    stand_in = Path(__file__).parent / "google_colab_stand_in"
    path = [str(stand_in), *(p for p in os.environ["PYTHONPATH"].split(os.pathsep) if p != str(ROOT))]
    environment = {"PYTHONPATH": os.pathsep.join(path), "COLAB_STAND_IN": str(home), "COLAB_RELEASE_TAG": "stand-in"}
    yield home, environment
    subprocess.run(["fusermount3", "-u", "-z", home / "drive"], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> str:
    """The package as a git repository to clone, whose requirements this environment meets."""
    folder = tmp_path_factory.mktemp("published")
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lipgan_colab", folder / "lipgan_colab", ignore=leave_out)
    names = re.findall(r"^[\w-]+(?===)", (ROOT / "requirements-colab.txt").read_text(), re.MULTILINE)
    (folder / "requirements-colab.txt").write_text("".join(f"{name}=={version(name)}\n" for name in names))
    tag = re.search(r'^version = "(.+?)"', (SOURCES / "setup.md").read_text(), re.MULTILINE)[1]
    person = ["-c", "user.name=Anybody", "-c", "user.email=anybody@example.org"]
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-q", "-m", "All of it"], ["tag", tag]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder.as_uri()


def test_all_five_run_on_a_colab_whose_drive_disconnects(material, colab, published, tmp_path):
    home, environment = colab
    session = one_after_the_other(*all_five(material, steps=12, repository=published))
    log = home / "disk" / "MyDrive" / "lipgan" / "runs" / "tried" / "log.csv"
    execute(session, home / "content", environment, when=log, then=lambda _: (home / "disconnect").touch())
    assert not errors_in(session)
    told = text_of(session)
    assert "Mounted at" in told and told.count("Drive already mounted") == 4
    assert "NO GPU" in str(session)  # in what is shown while it trains
    run = home / "of_drive" / "MyDrive" / "lipgan" / "runs" / "tried"
    assert "Transport endpoint is not connected" in told and "works again; catching up" in told
    shown = re.findall(r"last saved to Drive [^<]+<", str(session))
    assert shown and re.search(r"last saved to Drive [\w ]+ ago \(step 12\)", shown[-1]), shown
    saved = find_checkpoints(run / "checkpoints")[0]
    assert saved.step == 12 and is_whole(saved)
    assert load_generator(run) is not None
    results = home / "of_drive" / "MyDrive" / "lipgan" / "results"
    assert len(list(results.glob("*.mp4"))) == 1 and len(list(results.glob("evaluation-*/clips.csv"))) == 1
    assert len(list(results.parent.glob("studies/*/runs/*/seed-0/generator.safetensors"))) == 2

    # The machine is gone with its disk; a new one goes on from Drive.
    subprocess.run(["fusermount3", "-u", "-z", home / "drive"], check=True)
    for lost in ("disk", "content/lipgan_colab"):
        shutil.rmtree(home / lost)
    (home / "disconnect").unlink()
    again = all_five(material, steps=14, repository=published)[1]
    execute(again, home / "content", environment)
    assert not errors_in(again)
    assert "going on from step 12 " in text_of(again)
    assert find_checkpoints(run / "checkpoints")[0].step == 14


def test_a_colab_whose_drive_is_not_to_be_had(material, colab, published):
    home, environment = colab
    (home / "answers.json").write_text(json.dumps(["declined", "timeout", "policy"]))
    train = filled_in("02_train", repository=published, **SMALL)
    setup = filled_in("02_train", repository=published).cells[2]
    train.cells = [*train.cells[:3], *[nbformat.from_dict({**setup, "id": f"again-{n}"}) for n in range(3)]]
    gpu = "from lipgan_colab.training.train import train\ntrain('shards', 'run')"
    train.cells.append(nbformat.v4.new_code_cell(gpu))
    execute(train, home / "content", environment, errors=True)
    declined, timeout, policy, allowed, without_gpu = [
        text_of(nbformat.from_dict({**train, "cells": [c]})) for c in train.cells[2:]
    ]
    assert "Drive was refused" in declined and "will NOT last" in declined and "NOT kept" in declined
    assert "InputError" in timeout and "timeout during initial read" in timeout and "run this again" in timeout
    assert "InputError" in policy and "domain policy" in policy
    assert "Traceback" not in timeout + policy
    assert "Mounted at" in allowed and "GB free in" in allowed
    assert "NO GPU" in without_gpu or "holds no shard" in without_gpu


def test_colab_is_asked_for_secrets_and_files(colab):
    home, environment = colab
    (home / "secrets.json").write_text(json.dumps({"LRS2_USER": "anna", "LRS2_PASSWORD": "1234"}))
    (home / "uploads").mkdir()
    (home / "uploads" / "photo.png").write_bytes(b"x" * 2_000_000)
    script = """
import os, pathlib
from lipgan_colab.notebook.file_input import upload_on_colab
from lipgan_colab.corpora.archive_parts import credentials
print(credentials("server"))
folder = pathlib.Path("uploaded")
folder.mkdir()
print(*(upload_on_colab(folder).name for _ in range(2)))
pathlib.Path(os.environ["COLAB_STAND_IN"], "secrets.json").write_text('{"LRS2_USER": null}')
try:
    credentials("server")
except ValueError as error:
    print(error)
"""
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), environment["PYTHONPATH"]])}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home / "content",
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # no terminal to ask at
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "('anna', '1234')" in done.stdout and "photo.png" in done.stdout
    assert "put them into Colab's secrets LRS2_USER and LRS2_PASSWORD" in done.stdout
