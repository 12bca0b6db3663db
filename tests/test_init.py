"""The package hands on its verbs, and loads nothing before it must."""

import subprocess
import sys
import wave

import numpy as np
import pytest

import lipgan_colab

VERBS = (
    "preprocess",
    "train",
    "train_motion",
    "generate",
    "preview",
    "generate_voices",
    "evaluate",
    "ablate",
    "make_study",
    "count_answers",
    "open_workspace",
    "load_generator",
)


@pytest.mark.parametrize("first", ["", "import lipgan_colab.shards.preprocess, lipgan_colab.training.train"])
def test_verbs_are_functions_whatever_was_imported_before(first):
    script = (
        f"{first}\nfrom lipgan_colab import {', '.join(VERBS)}\nprint([type(v).__name__ for v in ({', '.join(VERBS)})])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["function"] * len(VERBS))


def test_verbs_are_listed_and_nothing_else_is_handed_on():
    assert set(VERBS) == set(lipgan_colab.__all__) <= set(dir(lipgan_colab))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lipgan_colab.nothing  # noqa: B018


def test_importing_it_loads_nothing():
    script = (
        "import sys, lipgan_colab; print(sorted(set(sys.modules) & {'torch', 'numpy', 'cv2', 'lipgan_colab.training'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_photo_speaks_without_what_takes_long_to_load(shared, tmp_path):
    photo, speech = shared / "data" / "photos" / "obama_240p.jpg", tmp_path / "speech.wav"
    with wave.open(str(speech), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).integers(-3000, 3000, 8000, np.int16).tobytes())
    script = (
        "import sys; from lipgan_colab import generate\n"
        f"report = generate({str(photo)!r}, {str(speech)!r}, 'starter', {str(tmp_path / 'made.mp4')!r})\n"
        "print(sorted(set(sys.modules) & {'torch', 'scipy', 'matplotlib', 'sounddevice'}), report.frames)\n"
        "import matplotlib.pyplot; print(matplotlib.pyplot.figure)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, figure = done.stdout.splitlines()
    assert loaded == "[] 12"
    assert "function figure" in figure, "and MediaPipe has left Matplotlib as it is"
