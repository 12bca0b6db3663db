"""What can be learnt from: a corpus is a list of utterances, each one video file of one person speaking."""

import hashlib
import os
import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lipgan_colab.corpora.lists import COMMENT, read_lines
from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import check_folder

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv"]
)

GRID_LICENCE = "CC BY 4.0"
GRID_SECONDS = 3.0  # every clip of GRID has 75 frames, 25 a second

LRS2_LICENCE = "BBC LRS2 agreement, research only"
LRS2_FOLDER = "mvlrs_v1"  # what the archive unpacks to
# The lists that come with LRS2. A programme belongs to the first list that names it: what judges comes before what
# teaches.
LRS2_SPLITS = ("test", "val", "train", "pretrain")

SHOT = re.compile(r"(.+)#([1-9]\d*)", re.DOTALL)  # ids of what a film is cut into: talk.mp4#1, talk.mp4#2, …


@dataclass(frozen=True)
class Utterance:
    """One clip.

    Attributes:
        id: unique within the corpus and the same on every machine (the path below the corpus' root, "/" between).
        path: where the video file is on this machine.
        speaker: who speaks, as far as that is known; splits never share a speaker.
        licence: under what the clip may be used.
        programme: the broadcast it was cut from, where there is one; splits never share a programme.
        duration: seconds; None where that is known only after looking into the file (see subset.measured).
        transcript: a text file of what is said; None where there is none.
    """

    id: str
    path: Path
    speaker: str = ""
    licence: str = "unknown"
    programme: str = ""
    duration: float | None = None
    transcript: Path | None = None

    @property
    def group(self) -> str:
        """What clips of one look and sound have in common: the speaker, or the programme where that is all known."""
        return self.speaker or self.programme


def folder(root: str | Path, licence: str = "unknown") -> list[Utterance]:
    """Every video below a folder, sorted by id; the subfolder it lies in counts as its speaker.

    Hidden files and folders are passed over. A folder that cannot be read, and videos with a line break in their names,
    which no list of ids can hold, are left out with a warning.

    Raises:
        InputError: the folder does not exist or holds no video.
    """
    root = Path(root)
    check_folder(root, "name the folder that holds the videos")
    paths = [p for p in _visible_files(root) if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()]
    unlisted = [p for p in paths if re.search(r"[\r\n]", p.relative_to(root).as_posix())]
    if unlisted:
        have, first = "its name has" if len(unlisted) == 1 else "their names have", unlisted[0].relative_to(root)
        warnings.warn(
            f"{root}: {counted(len(unlisted), 'video')} left out, for {have} a line break; rename {str(first)!r}",
            stacklevel=2,
        )
        paths = [p for p in paths if p not in set(unlisted)]
    utterances = [
        Utterance(
            id=p.relative_to(root).as_posix(),
            path=p,
            speaker=p.parent.relative_to(root).as_posix(),
            licence=licence,
        )
        for p in paths
    ]
    if not utterances:
        raise InputError(f"{root}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}); name another folder")
    return sorted(utterances, key=lambda u: u.id)


def _visible_files(root: Path) -> Iterator[Path]:
    """The files below a folder, but for what other programs hide there: bins, checkpoints, a Mac's notes."""

    def left_out(error: OSError) -> None:
        warnings.warn(f"{error.filename}: cannot be read ({error.strerror}); left out", stacklevel=2)

    for place, folders, files in os.walk(root, onerror=left_out):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (Path(place, name) for name in files if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def grid(root: str | Path, speakers: Sequence[str | int] | None = None) -> list[Utterance]:
    """The GRID corpus (Cooke, Barker, Cunningham, Shao 2006; Zenodo record 3625687): a folder a speaker, s1 to s34.

    Args:
        root: the folder that holds s1, s2, …, and alignments/ if they are there.
        speakers: "s4" or 4; None takes all that are there.

    Raises:
        InputError: no such folder, no video in it, or a speaker who is not there.
    """
    root = Path(root)
    clips = defaultdict(list)
    for u in folder(root, GRID_LICENCE):
        clips[u.id.split("/")[0] if "/" in u.id else root.name].append(u)
    words = _word_times(root, {speaker: {u.path.stem for u in of_speaker} for speaker, of_speaker in clips.items()})
    utterances = [
        replace(u, speaker=speaker, duration=GRID_SECONDS, transcript=words[speaker].get(u.path.stem))
        for speaker, of_speaker in clips.items()
        for u in of_speaker
    ]
    if speakers is None:
        return utterances
    wanted = {speaker_name(s) for s in speakers}
    there = {u.speaker for u in utterances}
    if wanted - there:
        raise InputError(
            f"{root}: speaker {min(wanted - there)} is not there, only {', '.join(sorted(there))}; "
            f"fetch --corpus grid downloads others"
        )
    return [u for u in utterances if u.speaker in wanted]


def speaker_name(speaker: str | int) -> str:
    """GRID's name of a speaker: 4, "4" and "s4" are s4."""
    return f"s{speaker}" if str(speaker).isdecimal() else str(speaker)


def _word_times(root: Path, clips: dict[str, set[str]]) -> dict[str, dict[str, Path]]:
    """Of each GRID speaker the files that say when which word is said, by clip, from either of the places where people
    unpack them.

    The open archive has some speakers' files under another's number (those of s5 under s6). But nearly all sentences
    are said by one speaker alone, so the folder that knows most of a speaker's clips is theirs.
    """
    folders = [{p.stem: p for p in place.glob("*.align")} for place in sorted(root.glob("alignments/s*"))]
    found = {}
    for speaker, stems in clips.items():
        own = {p.stem: p for p in (root / speaker / "align").glob("*.align")}
        found[speaker] = own or max(folders, key=lambda files: len(stems & files.keys()), default={})
    return found


def lrs2(root: str | Path, split: str = "train", unpacked: bool = True) -> list[Utterance]:
    """LRS2-BBC (Afouras, Chung, Senior, Vinyals, Zisserman 2018): mvlrs_v1/main|pretrain/PROGRAMME/UTTERANCE.mp4.

    A programme that two of the lists name belongs to the one that comes first in LRS2_SPLITS; what another split loses
    by that is told in a warning.

    Args:
        root: the folder that holds mvlrs_v1, or mvlrs_v1 itself; the lists train.txt, … lie there or in filelists/.
        split: "train", "val", "test" or "pretrain", or several with "+" between them.
        unpacked: False lists what the archive holds, whether it has been unpacked or not: to draw a subset before.

    Raises:
        InputError: no such folder or list, or nothing of the split has been unpacked.
    """
    root = Path(root)
    check_folder(root, f"name the folder that holds {LRS2_FOLDER}")
    videos = root if not (root / LRS2_FOLDER).is_dir() and (root / "main").is_dir() else root / LRS2_FOLDER
    names = split.split("+")
    unknown = set(names) - set(LRS2_SPLITS)
    if unknown:
        raise InputError(f"LRS2 has no split {min(unknown)!r}; take one of {', '.join(LRS2_SPLITS)}")
    lists = {name: _list_path(root, videos, name) for name in LRS2_SPLITS}
    ids = [clip for name in names for clip in _listed(lists[name], name, root, videos)]
    others = LRS2_SPLITS[: max(LRS2_SPLITS.index(name) for name in names)]
    taken = {_programme(i) for name in others if name not in names and lists[name] for i in _read_list(lists[name])}
    kept = [i for i in dict.fromkeys(ids) if _programme(i) not in taken]
    if len(kept) < len(set(ids)):
        lost = len(set(ids)) - len(kept)
        warnings.warn(
            f"LRS2: {counted(lost, 'clip')} of {split} left out, of programmes that belong to another split",
            stacklevel=2,
        )
    if not kept:
        raise InputError(f"{root}: no clip of {split} is left; choose another split, or look into its list")
    utterances = [
        Utterance(
            id=i,
            path=videos / f"{i}.mp4",
            programme=_programme(i),
            licence=LRS2_LICENCE,
            transcript=videos / f"{i}.txt",
        )
        for i in sorted(kept)
    ]
    return _those_there(utterances, split, videos) if unpacked else utterances


def _programme(clip: str) -> str:
    return clip.split("/")[1]


def _list_path(root: Path, videos: Path, name: str) -> Path | None:
    places = (root, root / "filelists", videos, videos / "filelists")
    return next((p / f"{name}.txt" for p in places if (p / f"{name}.txt").is_file()), None)


def _listed(path: Path | None, name: str, root: Path, videos: Path) -> list[str]:
    """The ids of a split: from its list, or for pretraining, which is a folder of its own, from what is there."""
    if path is not None:
        return _read_list(path)
    if name == "pretrain" and (videos / name).is_dir():
        found = (p.relative_to(videos).with_suffix("") for p in _visible_files(videos / name) if p.suffix == ".mp4")
        return [p.as_posix() for p in found if len(p.parts) == 3]
    raise InputError(f"{root}: {name}.txt is not there; put the lists that come with LRS2 into {root / 'filelists'}")


def _read_list(path: Path) -> list[str]:
    """main/PROGRAMME/UTTERANCE of every line; test.txt and val.txt have a second column, which says how noisy it is."""
    where = "pretrain" if path.stem == "pretrain" else "main"
    ids = []
    for number, line in read_lines(path, "use LRS2's own"):
        if line.startswith(COMMENT):
            continue
        name = line.split()[0].removesuffix(".mp4")
        if not re.fullmatch(r"\w[\w-]*/\w[\w-]*", name):
            raise InputError(f"{path}: line {number} is no PROGRAMME/UTTERANCE ({line[:40]!r}); use LRS2's own list")
        ids.append(f"{where}/{name}")
    return ids


def _those_there(utterances: list[Utterance], split: str, videos: Path) -> list[Utterance]:
    there = [
        replace(u, transcript=u.transcript if u.transcript.is_file() else None) for u in utterances if u.path.is_file()
    ]
    if not there:
        raise InputError(
            f"{videos}: none of the {counted(len(utterances), 'clip')} of {split} is there; unpack the part files first"
        )
    if len(there) < len(utterances):
        told = f"{len(there)} of the {counted(len(utterances), 'clip')} of {split} {_are(len(there))} there"
        warnings.warn(f"{videos}: {told}", stacklevel=3)
    return there


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


CORPORA = {"folder": folder, "grid": grid, "lrs2": lrs2}


def without(utterances: Sequence[Utterance], left_out: Sequence[str]) -> list[Utterance]:
    """The utterances whose ids are not in `left_out`, for keeping clips back to judge a model by. With a shot of a film
    that has not been cut yet all of the film is left out.

    Raises:
        InputError: an id in `left_out` is not in the corpus (a typing error would let a judge's clip into training).
    """
    clips = {u.id for u in only(utterances, left_out)}
    kept_back = clips | {film_of(clip) for clip in clips}
    whole = sorted((kept_back - clips) & {u.id for u in utterances})
    if whole:
        told = f"{whole[0]} is" if len(whole) == 1 else f"{len(whole)} films, such as {whole[0]}, are"
        warnings.warn(f"{told} left out with all shots: a film is cut only as it is preprocessed", stacklevel=2)
    return [u for u in utterances if u.id not in kept_back]


def only(utterances: Sequence[Utterance], ids: Iterable[str], where: str = "the corpus") -> list[Utterance]:
    """The utterances of these ids, in the ids' order.

    Of a file's id the suffix may be left out, or be one too many; a letter with its accent may be written as one or as
    two, and a path as Windows does, or from the folder on (./). A film's id means all shots that it was cut into (see
    SHOT). The id of a shot of a film that has not been cut yet gives the film's utterance with the shot's id.

    An id that begins with # and is not in the corpus is a comment of the list that it comes from. Where any of the
    corpus begins so, comments have a blank after the #.

    Args:
        utterances: a corpus.
        ids: of some of them.
        where: the corpus' name, for a person.

    Raises:
        InputError: an id is not in the corpus, or means several of its clips; or there are comments alone.
    """
    by_id = {u.id: u for u in utterances}
    by_stem = defaultdict(list)
    for u in utterances:
        for name in {u.id, film_of(u.id)}:
            by_stem[_stem(_plain(name))].append((_plain(name), u))
    chosen, comments = {}, []
    for i in ids:
        found = [by_id[i]] if i in by_id else _alike(_plain(i), by_stem)
        if not found and _is_comment(i, by_id):
            comments.append(i)
            continue
        if not found:
            raise InputError(f"{i}: not in {where}; check the id (path below the folder)")
        films = list(dict.fromkeys(film_of(u.id) for u in found))
        if len(films) > 1:
            raise InputError(f"{i}: means {films[0]} and {films[1]}; give the id with its suffix")
        chosen |= {u.id: u for u in found}
    if comments and not chosen:
        raise InputError(f"{where}: the list has nothing but comments ({comments[0]}); add ids, a line each")
    return [u for i, u in chosen.items() if i in by_id or film_of(i) not in chosen]


def film_of(clip: str) -> str:
    """The id of the film that a clip is a shot of; of others their own."""
    shot = SHOT.fullmatch(clip)
    return shot[1] if shot else clip


def _alike(name: str, by_stem: Mapping[str, list[tuple[str, Utterance]]]) -> list[Utterance]:
    """What a name means that is no id as it stands."""
    stem = _stem(name)
    found = [u for known_as, u in by_stem.get(stem, []) if name == stem or known_as in (stem, name)]
    if not found and film_of(name) != name:
        whole = [u for u in _alike(film_of(name), by_stem) if film_of(u.id) == u.id]
        found = [replace(u, id=u.id + name[len(film_of(name)) :]) for u in whole]
    return found


def _is_comment(line: str, ids: Iterable[str]) -> bool:
    told = line[len(COMMENT) :]
    alone = not told or told[0].isspace() or not any(i.startswith(COMMENT) for i in ids)
    return line.startswith(COMMENT) and alone


def _plain(name: str) -> str:
    """An id as lists of other systems' write it, made alike."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/").removeprefix("./"))


def _stem(clip: str) -> str:
    """An id without its video suffix."""
    film = film_of(clip)
    stem, suffix = os.path.splitext(film)
    return stem + clip[len(film) :] if suffix.lower() in VIDEO_SUFFIXES else clip


def split(utterances: Sequence[Utterance], name: str, share: float = 0.1, seed: int = 0) -> list[Utterance]:
    """One of three parts that share no speaker or programme, the same on every machine: "train", "val" or "test".

    Args:
        utterances: a corpus without splits of its own.
        name: which part.
        share: how many of the speakers go to "val", and as many to "test"; at least one each.
        seed: another seed takes other speakers.

    Raises:
        InputError: no such part, or fewer than three speakers.
    """
    groups = sorted({u.group for u in utterances}, key=lambda group: draw_number(seed, group))
    held = max(1, round(share * len(groups)))
    parts = {"val": groups[:held], "test": groups[held : 2 * held], "train": groups[2 * held :]}
    if name not in parts:
        raise InputError(f"there is no part {name!r}; take train, val or test")
    if not parts["train"]:
        many = counted(len(groups), "speaker")
        raise InputError(f"{many} cannot be split into train, val and test; at least three are needed")
    return [u for u in utterances if u.group in set(parts[name])]


def draw_number(seed: int, name: str) -> str:
    """A random but repeatable sorting key for a name: the same everywhere, whatever else is in the list."""
    return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogatepass")).hexdigest()


def fingerprint(ids: Iterable[str]) -> str:
    """What a set of clips is known by, 16 hexadecimal digits: the same for the same ids in any order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode(errors="surrogatepass")).hexdigest()[:16]
