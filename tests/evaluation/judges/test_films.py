"""Films of one clip are made alike, in all that could tell who made which."""

import av
import numpy as np
import pytest
from judged_films import RATE, frame_number, frames, noise, write_clips

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.films import footage, lag, make_equally_large, write_check, write_film
from lipgan_colab.evaluation.judges.key import LATE, STILL, TRUTH
from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video
from lipgan_colab.media.xmp import read_xmp


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """The same clip by the truth, and by makers of other sizes, rates, lengths, sounds and containers."""
    folder = tmp_path_factory.mktemp("films")
    truth = write_clips(folder / "true", 200, ["a"]) / "a.mp4"
    small = write_clips(folder / "small", 90, ["a"], size=(24, 32), crf=26) / "a.mp4"
    slow = folder / "slow.mov"
    write_video(slow, frames(90, 24)[::2], 12.5, noise(0), RATE, "slow", Encoding("h264"))
    late = write_clips(folder / "late", 90, ["a"], delay=RATE * 3 // 25) / "a.mp4"
    return {TRUTH: truth, "small": small, "slow": slow, "late": late}


def about(path):
    """All that a file says before its pictures are looked at."""
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        of = (video.width, video.height, video.average_rate, video.frames, video.duration, video.metadata)
        heard = (sound.rate, sound.layout.name, sound.duration, sound.bit_rate, sound.metadata)
        return of, heard, container.metadata, container.duration, path.stat().st_size, read_xmp(path)


def test_nothing_tells_them_apart_but_the_pictures(films, tmp_path):
    seen = footage(films)
    assert (seen.width, seen.height, seen.fps, seen.frames) == (64, 48, 25, 17)  # the late one ends so soon
    assert seen.lags["small"] == 0 and seen.lags["late"] == pytest.approx(0.12, abs=0.002)
    shown = {whose: tmp_path / f"{n}.mp4" for n, whose in enumerate(films)}
    for whose, path in shown.items():
        assert write_film(path, films[whose], seen, whose) == 0.68
    make_equally_large(shown.values())
    told = {whose: about(path) for whose, path in shown.items()}
    assert all(one == told[TRUTH] for one in told.values())
    assert "only the study's key tells" in told[TRUTH][-1].description
    heard = [read_speech(path) for path in shown.values()]
    assert all((wave == heard[0]).all() for wave in heard)
    # A film whose sound was late is shown with its pictures where they were beside that sound.
    numbers = {whose: [frame_number(picture) for _, picture in read_video(path)] for whose, path in shown.items()}
    assert numbers[TRUTH] == list(range(17)) == numbers["small"]
    assert numbers["late"] == list(range(3, 20))
    assert numbers["slow"][4:8] == [4, 6, 6, 8] or numbers["slow"][4:8] == [4, 4, 6, 6]


@pytest.mark.parametrize("check", [LATE, STILL])
def test_checks_differ_in_one_thing_alone(films, tmp_path, check):
    seen = footage({TRUTH: films[TRUTH]})
    paths = tmp_path / "true.mp4", tmp_path / "spoilt.mp4"
    seconds = {write_check(path, films[TRUTH], seen, check, path == paths[1]) for path in paths}
    make_equally_large(paths)
    assert about(paths[0]) == about(paths[1]) and seconds == {0.48 if check == LATE else 0.8}
    true, spoilt = ([frame_number(picture) for _, picture in read_video(path)] for path in paths)
    if check == STILL:
        assert true == list(range(20)) and len(set(spoilt)) == 1 and len(spoilt) == 20
    else:
        assert true == list(range(8, 20)) and spoilt == list(range(12))


def test_who_says_something_else_is_not_shown(films, tmp_path):
    other = tmp_path / "other.mp4"
    write_video(other, frames(90), 25, noise(1), RATE)
    with pytest.raises(InputError, match=r"other.mp4: it says something else than the other films of this clip"):
        footage(films | {"other": other})
    silent = tmp_path / "silent.mp4"
    write_video(silent, frames(90), 25)
    with pytest.raises(InputError, match="no sound"):
        footage(films | {"silent": silent})
    tall = write_clips(tmp_path / "tall", 90, ["a"], size=(64, 48)) / "a.mp4"
    with pytest.raises(InputError, match="has another shape"):
        footage(films | {"tall": tall})
    brief = write_clips(tmp_path / "brief", 90, ["a"], count=9) / "a.mp4"
    with pytest.raises(InputError, match=r"0\.36 s in common, too little"):
        footage(films | {"brief": brief})


def test_lags_are_found_to_a_sample():
    sound = noise(3, 2.0)
    for behind in (-2000, -1, 0, 1, 700, 4000):
        shifted = np.roll(sound, behind) * 0.5 + noise(4, 2.0) * 0.1
        assert lag(sound, shifted, "x") == pytest.approx(behind / 16_000, abs=1e-6)
    with pytest.raises(InputError, match="something else"):
        lag(sound, noise(5, 2.0), "x")
    assert lag(np.zeros(32_000, np.float32), np.zeros(32_000, np.float32), "x") == 0
