"""The words of a study's page: English, or another language's file with the same entries."""

import json
import re
from pathlib import Path

from lipgan_colab.errors import InputError, reading
from lipgan_colab.evaluation.judges.key import METHODS, POINTS, QUESTIONS

PAGE = Path(__file__).parent / "page"
ENGLISH = PAGE / "texts.json"


def read_words(path: str | Path | None = None) -> dict:
    """The words of a page; None takes the English ones.

    Raises:
        InputError: the file cannot be read, or an entry is missing or no text.
    """
    english = json.loads(ENGLISH.read_text(encoding="utf-8"))
    if path is None:
        return english
    with reading(path, "these are no texts of a page", f"take {ENGLISH.name} of the package as a pattern"):
        words = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        if not isinstance(words, dict):
            raise InputError("it holds no texts by their names")
        for name in english:
            _check(words, name)
            strange = _blanks(words[name]) - _blanks(english[name])
            if strange:
                raise InputError(f"the text {name!r} has {min(strange)}, which nothing is put in for")
        return {name: words[name] for name in english}


def _check(words: dict, name: str) -> None:
    """InputError where a text is missing."""
    text = words.get(name)
    if name in METHODS:
        missing = [q for q in QUESTIONS if not (isinstance(text, dict) and _is_text(text.get(q)))]
        if missing:
            raise InputError(f"{name!r} lacks the text of {missing[0]!r}")
    elif name == "points":
        if not (isinstance(text, list) and len(text) == len(POINTS) and all(map(_is_text, text))):
            raise InputError(f"'points' are the {len(POINTS)} words of the scale, the worst first")
    elif not _is_text(text):
        raise InputError(f"the text {name!r} is missing")


def _blanks(text: object) -> set[str]:
    """What the page fills in: {minutes}."""
    return set(re.findall(r"\{\w+\}", text)) if isinstance(text, str) else set()


def _is_text(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())
