"""The package hands on its verbs, and loads nothing before it must."""

import subprocess
import sys

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
