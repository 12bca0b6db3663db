"""What takes how long, and how much training it takes: the one place from which the notebooks have it.

Measured on CPU cores without a GPU; README's "What it takes" says the same. Nobody has measured a GPU's yet.
"""

MINUTES_PER_HOUR_OF_VIDEO = 30  # of one core, to preprocess an hour of video
GIGABYTES_PER_HOUR_OF_VIDEO = 0.8  # of shards
MOTION_MINUTES = 12  # motion from 15 minutes of video, its shards included
QUICK_MINUTES = 2  # the quick try, on two cores
SAMPLES_PER_SECOND = 9  # LipGAN at width 0.5, on one core
SAMPLES_TO_FOLLOW = 50_000  # from when mouths follow the speech
SAMPLES_TO_BE_GOOD = 150_000  # until when they certainly get better
HOURS_TO_FOLLOW = round(SAMPLES_TO_FOLLOW / SAMPLES_PER_SECOND / 3600, 1)


def filled(text: str) -> str:
    """A text in which each [[NAME]] has become the number of that name."""
    for name, value in globals().items():
        if name.isupper():
            text = text.replace(f"[[{name}]]", f"{value:,}".replace(",", " "))
    return text
