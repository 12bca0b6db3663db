"""A study is made, and neither its page nor its films tell which is which."""

import base64
import json
import re
from collections import Counter

import av
import pytest
from judged_films import CLIPS, write_clips

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.key import KEY, LATE, STILL, TRUTH, read_key
from lipgan_colab.evaluation.judges.make import make_study
from lipgan_colab.evaluation.judges.page import read_page
from lipgan_colab.evaluation.judges.sources import find_sources, true_films
from lipgan_colab.evaluation.judges.words import ENGLISH


@pytest.fixture(scope="module")
def makers(tmp_path_factory):
    """Folders of films by two makers, and the true clips, of which one more is not everybody's."""
    folder = tmp_path_factory.mktemp("makers")
    few = CLIPS[:5]
    write_clips(folder / "videos", 200, [*few, "s9/nobody"], ending=".mov")
    write_clips(folder / "zebra", 120, few)
    write_clips(folder / "yak", 60, few, crf=30)
    return folder


@pytest.fixture(scope="module")
def study(makers):
    compare = [str(makers / "zebra"), f"better={makers / 'yak'}", "truth"]
    about = {"title": "Lips & <mouths>", "send_to": "a@b.example", "credit": "the yak corpus", "seed": 3}
    return make_study(compare, makers / "study", makers / "videos", checks=2, measures=False, **about)


def test_the_key_tells_all(study, makers):
    key = read_key(makers / "study")
    assert key == study.key and key.systems == ("zebra", "better", TRUTH) and key.questions == ("sync", "natural")
    of = Counter(film.system for film in key.films.values())
    assert of == {"zebra": 3, "better": 3, TRUTH: 5, LATE: 1, STILL: 1}
    for form in key.forms:
        assert sorted({key.films[t.films[0]].clip for t in form}) == sorted(CLIPS[:5])
        for trial in form:
            one, other = (key.films[name] for name in trial.films)
            assert one.clip == other.clip and one.system != other.system and one.seconds == other.seconds
    assert "skipped 1 clip that not everybody has: s9/nobody" in str(study) and "with `consent`" in str(study)


def test_the_page_does_not_tell_which_is_which(study, makers):
    folder = makers / "study" / "page"
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    text = (folder / "index.html").read_text(encoding="utf-8")
    films = dict(re.findall(r'id="film-(\w+)">([^<]*)<', text))
    assert sorted(films) == sorted(study.key.films) and all(re.fullmatch("[0-9a-f]{12}", name) for name in films)
    source = re.sub(r'(id="film-\w+">)[^<]*<', r"\1<", text)  # without what is in the films
    told = read_page(folder).study
    assert told.keys() == {
        *("study", "title", "method", "questions", "send_to", "credit", "agreed", "minutes", "forms")
    }
    source = source.replace("the yak corpus", "")  # this its maker has said
    tells = [
        "zebra",
        "yak",
        "better=",
        str(makers),
        "s0/",
        "clip 1",
        KEY,
        '"check"',
        "still",
        '"late"',
        "seed",
        "truth",
    ]
    script = source[source.rindex("<script>") :]
    assert [word for word in tells if word in source.replace(script, "")] == []
    assert "Lips &amp; &lt;mouths&gt;" in source and "http" not in source.replace('http-equiv="Content', "")
    # What is left of the films is equal: size, length, metadata, down to the last byte before their pictures.
    by_clip = {}
    for name, data in films.items():
        content = base64.b64decode(data)
        path = makers / "look.mp4"
        path.write_bytes(content)
        assert not any(word.encode() in content for word in ("zebra", "yak", "made by", "clip", str(makers)))
        with av.open(str(path)) as film:
            video, sound = film.streams.video[0], film.streams.audio[0]
            said = (
                film.metadata,
                video.metadata,
                sound.metadata,
                video.frames,
                film.duration,
                video.width,
                video.time_base,
            )
        by_clip.setdefault(study.key.films[name].clip, []).append((len(content), said, sound.duration))
    assert all(len(of) >= 2 and all(one == of[0] for one in of) for of in by_clip.values())


def test_the_films_are_the_makers_own(study, makers, tmp_path):
    page = read_page(makers / "study" / "page")
    greys = {}
    for name, film in study.key.films.items():
        (tmp_path / "a.mp4").write_bytes(page.film(name))
        with av.open(str(tmp_path / "a.mp4")) as opened:
            picture = next(opened.decode(video=0)).to_ndarray(format="rgb24")
        greys.setdefault(film.system, set()).add(round(float(picture[..., 2].mean()), -1))
    assert greys == {"zebra": {120}, "better": {60}, TRUTH: {200}, LATE: {200}, STILL: {200}}


def test_films_that_are_compared_with_themselves_are_told(makers, tmp_path):
    same = [f"one={makers / 'zebra'}", f"other={makers / 'yak' / '..' / 'zebra'}"]
    with pytest.warns(UserWarning, match="one and other are both .*zebra: judges can only guess"):
        find_sources(same, {}, tmp_path)


def test_run_again_it_takes_no_key_away(study, makers):
    with pytest.raises(InputError, match="a study lies there, and answers to it would lose their key"):
        make_study(["a", "b"], makers / "study")


def test_films_can_lie_beside_the_page_in_another_language(makers, tmp_path):
    words = json.loads(ENGLISH.read_text(encoding="utf-8")) | {"language": "fr", "start": "Commencer </script>"}
    (tmp_path / "fr.json").write_text(json.dumps(words), encoding="utf-8")
    compare = [str(makers / "zebra"), str(makers / "yak")]
    made = make_study(compare, tmp_path / "out", clips=2, texts=tmp_path / "fr.json", beside=True, consent=True)
    page = read_page(tmp_path / "out/page")
    assert len(list((tmp_path / "out/page/films").iterdir())) == 4 == len(made.key.films) and not page.inside
    assert all(page.film(name) for name in made.key.films) and page.words["start"] == "Commencer </script>"
    assert 'lang="fr"' in (tmp_path / "out/page/index.html").read_text() and "No checks" in str(made)
    assert "whole folder" in str(made) and not (tmp_path / "out/measures.csv").exists()
    del words["go_on"]
    (tmp_path / "fr.json").write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(InputError, match=r"fr\.json: the text 'go_on' is missing"):
        make_study(compare, tmp_path / "other", texts=tmp_path / "fr.json")
    (tmp_path / "fr.json").write_text(json.dumps(words | {"go_on": "{trails} left"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"'go_on' has \{trails\}, which nothing is put in for"):
        make_study(compare, tmp_path / "other", texts=tmp_path / "fr.json")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"compare": ["zebra"]}, "a pair takes two"),
        ({"compare": ["zebra", "zebra"]}, "'zebra' is compared already"),
        ({"compare": ["zebra", "nothing-here"]}, "nothing-here: no folder of films; if these are weights, give videos"),
        ({"compare": ["zebra", "gone"], "videos": "videos"}, "gone: no such folder of films, run or weights"),
        ({"compare": ["zebra", "truth"]}, "where the true clips lie is missing; give videos"),
        ({"compare": ["late=zebra", "yak"]}, "'late' is what the true clips are called, or a check"),
        ({"compare": ["zebra", "yak"], "checks": 2}, "made of true clips"),
        ({"compare": ["zebra", "yak"], "ask": ["looks"]}, "ask looks: choose one or more of sync, natural"),
        ({"compare": ["zebra", "yak"], "method": "stars"}, "method 'stars'"),
        ({"compare": ["zebra", "yak"], "videos": "videos", "checks": 5}, "5 clips can be shown"),
        ({"compare": ["zebra", "yak"], "ids": ["s5/x"]}, "no clip is there of everybody"),
    ],
)
def test_what_cannot_be_asked_is_said(makers, tmp_path, monkeypatch, asked, line):
    monkeypatch.chdir(makers)
    with pytest.raises(InputError, match=line):
        make_study(out=tmp_path / "out", **asked)
    assert not (tmp_path / "out" / KEY).exists()


def test_weights_make_their_films_and_all_are_measured(drawn_videos, tmp_path):
    one = [next(drawn_videos.glob("*.mp4")).name]
    made = make_study(["starter", "truth"], tmp_path / "out", drawn_videos, one, checks=0, ask=["natural"])
    lines = (tmp_path / "out/measures.csv").read_text().splitlines()
    values = {line.split(",")[1]: dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]}
    assert values.keys() == {"starter", TRUTH} and len(lines) == 3 and not made.skipped
    assert float(values[TRUTH]["correlation"]) > 0.9 > float(values["starter"]["correlation"])
    assert float(values["starter"]["psnr"]) > 20
    (film,) = (tmp_path / "out/made/starter").glob("*.mp4")
    written = film.stat().st_mtime_ns
    (starter,) = find_sources(["starter"], true_films(drawn_videos), tmp_path / "out/made")
    assert starter.film(one[0].removesuffix(".mp4")) == film and film.stat().st_mtime_ns == written  # it is there
