"""Two things to try that need no data: a photograph speaks, and the whole way from videos to a trained network."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from lipgan_colab.errors import InputError
from lipgan_colab.files import make_folder, written_whole
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.models.pretrained import ASSETS

SENTENCE = ASSETS / "sample.wav"


def speaking_photo(out: Path) -> GenerateReport:
    """The astronaut Eileen Collins, as scikit-image ships her (NASA, public domain), speaks a synthetic sentence.

    Args:
        out: folder for photo.png and talking.mp4.

    Raises:
        InputError: scikit-image is not installed; the disk is full, or there can be no such folder.
    """
    portrait, photo = sample_photo(), make_folder(out) / "photo.png"
    if portrait is None:
        raise InputError("the demo's photograph is not here: pip install scikit-image, or give generate one of yours")
    with written_whole(photo) as unfinished:
        shutil.copyfile(portrait, unfinished)
    return generate(photo, SENTENCE, "starter", out / "talking.mp4", GenerateOptions(mark=True))


def sample_photo() -> Path | None:
    """The file of that photograph; None where scikit-image is not installed. (Loading it takes longer than the photo
    to speak.)"""
    package = find_spec("skimage")
    path = Path(package.origin).parent / "data" / "astronaut.png" if package else None
    return path if path and path.is_file() else None


def trained_on_drawings(out: Path, steps: int) -> GenerateReport:
    """Corpus, shards, a small network, and a talking video, all of it once, on a drawn face.

    Args:
        out: folder for all that is made: videos/, shards/, run/, drawn.png, drawn_speech.wav and drawn_talking.mp4, so
            that it may be the one of `speaking_photo`.
        steps: of the training; 450 are enough for lips that follow the sound.

    Raises:
        InputError: no steps; the disk is full, or there can be no such folder.
    """
    from lipgan_colab.corpora.corpus import folder
    from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess
    from lipgan_colab.synthetic.clips import draw_corpus, draw_photo, write_speech
    from lipgan_colab.training.step import quick_try
    from lipgan_colab.training.train import train

    if steps < 1:
        raise InputError(f"{steps} steps teach nothing; give at least 1")
    make_folder(out)
    print("1/4 drawing a talking person")
    # One person only: a network learns faces before it learns speech, and the minutes are to be enough for both.
    draw_corpus(out / "videos", clips=8, identities=1, seconds=2.0)
    print("2/4 preprocessing the clips")
    preprocess(folder(out / "videos", licence="drawn by lipgan_colab"), out / "shards", PreprocessConfig())
    print("3/4 training a small model on them")
    weights = train(out / "shards", out / "run", quick_try(steps), preview_every=100)
    print("4/4 making a photo speak")
    photo, speech = out / "drawn.png", out / "drawn_speech.wav"
    draw_photo(photo)
    write_speech(speech, seconds=4.0, seed=99)
    options = GenerateOptions(pauses="off")  # no detector takes the drawn person's voice for speech
    return generate(photo, speech, weights, out / "drawn_talking.mp4", options)
