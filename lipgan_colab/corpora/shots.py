"""What the shots of a film are called: `clip.mp4#2` is the second one of clip.mp4."""

import re

from lipgan_colab.corpora.corpus import Utterance

SHOT = re.compile(r"(.+)#([1-9]\d*)", re.DOTALL)


def shot_id(film: str, number: int) -> str:
    """The id of a film's shot, counted from 1."""
    return f"{film}#{number}"


def film_of(clip: str) -> str:
    """The id of the film that a clip is a shot of; of a clip that is a film of its own, its id."""
    shot = SHOT.fullmatch(clip)
    return shot[1] if shot else clip


def wanted_shot(utterance: Utterance) -> int | None:
    """Which shot of its file alone an utterance means, as its id says; None for all of them."""
    shot = SHOT.fullmatch(utterance.id)
    if shot is None or shot[1].rpartition("/")[2] not in (utterance.path.name, utterance.path.stem):
        return None
    return int(shot[2])
