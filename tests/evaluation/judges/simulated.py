"""Made studies and made judges, for the tests: who is preferred, how much judges and clips differ, and who is careless
are known."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from lipgan_colab.evaluation.judges.key import (
    ANSWERS_FORMAT,
    LATE,
    PAIRS,
    POINTS,
    QUESTIONS,
    SIDES,
    STILL,
    TRUTH,
    Key,
    ShownFilm,
    Trial,
    write_key,
)

SECONDS = 3.0  # of every film
CHECKS_SHOWN = (LATE, STILL, LATE, STILL)


def made_key(
    systems: Sequence[str] = ("ours", "theirs"),
    clips: int = 12,
    forms: int = 6,
    checks: Sequence[str] = CHECKS_SHOWN,
    method: str = PAIRS,
    questions: Sequence[str] = QUESTIONS,
    study: str = "0" * 16,
) -> Key:
    """Every form shows every clip: a pair of it, or one film by each system; the forms take turns."""
    names = [f"clip{number:02}" for number in range(clips)]
    films, ids = {}, {}
    for clip in [*names, *(f"check{number}" for number in range(len(checks)))]:
        for system in (*systems, TRUTH, LATE, STILL):
            if (clip, system) not in ids:
                ids[clip, system] = f"f{len(films):04}"
                films[ids[clip, system]] = ShownFilm(clip, system, SECONDS)
    pairs = list(combinations(systems, 2))
    shown = []
    for form in range(forms):
        trials = []
        for number, clip in enumerate(names):
            if method == PAIRS:
                pair = pairs[(form + number) % len(pairs)]
                pair = pair if (form // len(pairs) + number) % 2 else pair[::-1]
                trials.append(Trial(tuple(ids[clip, system] for system in pair)))
            else:
                trials += [Trial((ids[clip, system],)) for system in systems]
        for number, check in enumerate(checks):
            clip = f"check{number}"
            if method == PAIRS:
                pair = (TRUTH, check) if (form + number) % 2 else (check, TRUTH)
                trials.append(Trial(tuple(ids[clip, system] for system in pair), check))
            else:
                trials += [Trial((ids[clip, check],), check), Trial((ids[clip, TRUTH],), TRUTH)]
        shown.append(tuple(trials))
    return Key(study, "A made study", method, tuple(questions), tuple(systems), films, tuple(shown))


def made_answers(
    key: Key,
    judges: int,
    strengths: Mapping[str, float] | None = None,
    judges_differ: float = 0.0,
    clips_differ: float = 0.0,
    careless: Sequence[int] = (),
    seed: int = 0,
    stopped: Mapping[int, int] | None = None,
) -> list[dict]:
    """A file's content for each judge.

    Args:
        strengths: of the systems, in logits; who is not named has 0.
        judges_differ, clips_differ: standard deviations in logits, of each system's strength.
        careless: judges who answer at random.
        stopped: after how many answers some stopped.
    """
    rng = np.random.default_rng(seed)
    clips = sorted({film.clip for film in key.films.values()})
    whose = (*key.systems, TRUTH)
    level = {system: (strengths or {}).get(system, 0.0) for system in whose} | {LATE: -6.0, STILL: -6.0}
    level.setdefault(TRUTH, 0.0)
    # The difference of two systems has the standard deviation that is asked for.
    by_judge = judges_differ * rng.normal(size=(judges, len(level))) / np.sqrt(2)
    by_clip = clips_differ * rng.normal(size=(len(clips), len(level))) / np.sqrt(2)
    places = {system: number for number, system in enumerate(level)}

    def liked(judge: int, film: str) -> float:
        about = key.films[film]
        place = places[about.system]
        return level[about.system] + by_judge[judge, place] + by_clip[clips.index(about.clip), place]

    files = []
    for judge in range(judges):
        form, given = judge % len(key.forms), []
        for number, trial in enumerate(key.forms[form]):
            for question in key.questions:
                given.append(
                    {
                        "trial": number,
                        "question": question,
                        "answer": _answered(rng, key, [liked(judge, film) for film in trial.films], judge in careless),
                        "seconds": round(float(len(trial.films) * SECONDS + 2 + rng.exponential(8)), 2),
                        "plays": [int(1 + rng.poisson(0.3)) for _ in trial.films],
                    }
                )
        about = {"format": ANSWERS_FORMAT, "study": key.study, "form": form, "judge": rng.bytes(16).hex()}
        given = given[: (stopped or {}).get(judge)]
        files.append(about | {"name": f"Person {judge}", "consent": True, "answers": given})
    return files


def _answered(rng: np.random.Generator, key: Key, liked: Sequence[float], careless: bool) -> str | int:
    if key.method == PAIRS:
        left = 0.5 if careless else 1 / (1 + np.exp(liked[1] - liked[0]))
        return SIDES[0] if rng.random() < left else SIDES[1]
    if careless:
        return int(rng.choice(POINTS))
    return int(np.clip(np.rint(3 + liked[0] + 0.7 * rng.normal()), POINTS[0], POINTS[-1]))


def written(folder: Path, key: Key, files: Sequence[dict]) -> Path:
    """The study's folder, with its key and a folder `answers`."""
    (folder / "answers").mkdir(parents=True, exist_ok=True)
    write_key(folder / "key.json", key)
    for number, content in enumerate(files):
        (folder / "answers" / f"answers-{number:02}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
