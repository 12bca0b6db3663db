"""Where the tests find real data, and drawn data for what needs none."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, photos, sounds and golden values that lies beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no real data beside the checkout (../shared)")
    return SHARED


@pytest.fixture(scope="session")
def drawn_videos(tmp_path_factory) -> Path:
    """A folder of four short drawn clips of two people. Not to be changed."""
    from lipgan_colab.synthetic import draw_corpus

    folder = tmp_path_factory.mktemp("videos")
    draw_corpus(folder, clips=4, identities=2, seconds=1.0)
    return folder


@pytest.fixture(scope="session")
def drawn_shards(drawn_videos, tmp_path_factory) -> Path:
    """The shards of `drawn_videos`. Not to be changed."""
    from lipgan_colab.corpora import folder
    from lipgan_colab.preprocess import preprocess

    shards = tmp_path_factory.mktemp("shards")
    preprocess(folder(drawn_videos), shards, workers=0)
    return shards
