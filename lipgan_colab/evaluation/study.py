"""A study is one small file (TOML) that asks a question: what is trained, in which ways, and by whom it is judged.

    title = "Does it help to weight the lips?"
    shards = "shards"                 # paths are from this file's folder
    videos = "held_out"               # whom to judge by
    held_out = ["s5", "s6"]           # speakers in the shards from whom no arm learns
    seeds = [0, 1, 2]

    [budget]                          # one of: steps, samples, seconds (of computing)
    samples = 100000

    [base]                            # fields of TrainConfig
    width = 0.25
    lip_weight = 1

    [arms.lips-6]                     # what an arm has otherwise
    lip_weight = 6

Optional: clips (ids below videos), measures, sync_expert (whom the arms please that have a sync_weight), expert and
syncnet (who judge, as in `evaluate`), start_from (weights that all begin with) or a table [start]: a shared beginning,
trained once for each seed, of fields over the base's and its steps.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from lipgan_colab.errors import InputError, reading
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.models.pretrained import PRETRAINED
from lipgan_colab.training.step import TrainConfig, generator_config

BASE, START = "base", "start"
NAME = re.compile(r"\w(?:[\w.+-]{0,62}[\w+-])?")  # of an arm, which is a folder's on every disk
OF_THE_STUDY = ("steps", "seed", "held_out")  # fields of TrainConfig that no table has
TELLING = ("high_passed", "range", "closures", "lmd", "sharpness", "psnr_lips", "expert_d")  # compared unless asked
BUDGETS = ("steps", "samples", "seconds")
LARGEST_SEED = 2**32 - 1
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
CURE = "mend the study"


@dataclass(frozen=True)
class Study:
    """A study's file, checked.

    Attributes:
        path: of the file.
        title: the question.
        shards, videos: folders.
        clips: ids of the clips to judge by; None: all.
        held_out: speakers in the shards from whom nobody learns.
        seeds: each arm is trained once with each.
        measures: which are compared, of `measures.MEASURES`.
        budget, amount: one of BUDGETS, and how much of it.
        base: the base's fields of TrainConfig.
        arms: what each arm has otherwise, by its name.
        start: the shared beginning's fields over the base's, its steps among them; None where there is none.
        start_from: weights that every arm begins with; None: with nothing.
        sync_expert: whom the arms please that have a sync_weight.
        expert, syncnet: who judge, as in `evaluate`.
    """

    path: Path
    title: str
    shards: Path
    videos: Path
    clips: tuple[str, ...] | None
    held_out: tuple[str, ...]
    seeds: tuple[int, ...]
    measures: tuple[str, ...]
    budget: str
    amount: float
    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    start: Mapping[str, Any] | None = None
    start_from: Path | str | None = None
    sync_expert: Path | str | None = None
    expert: Path | str = "expert"
    syncnet: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The base, and the arms."""
        return (BASE, *self.arms)

    def config(self, arm: str, seed: int, steps: int) -> TrainConfig:
        """How an arm (or the base, or START, which has its own steps) is trained."""
        if arm == START:
            return self._made(arm, self.start, seed, self.start["steps"])
        return self._made(arm, self.arms.get(arm, {}), seed, steps)

    def _made(self, arm: str, changes: Mapping[str, Any], seed: int, steps: int) -> TrainConfig:
        held_out = ",".join(self.held_out) or "none"
        try:
            return TrainConfig(**self.base | changes | {"seed": seed, "steps": steps, "held_out": held_out})
        except InputError as error:
            raise InputError(
                f"{self.path}: {table_of(arm)}: {error}"
            ) from error  # as text: it is no flag that is meant


def table_of(arm: str) -> str:
    """The table of a study's file that says how an arm, the base or START is trained."""
    return f"[{arm}]" if arm in (BASE, START) else f"[arms.{arm}]"


def arms_of(study: Study, start: bool = False) -> dict[str, TrainConfig]:
    """How the base and each arm are trained, but for steps and seed; with START, where asked for and there is one."""
    names = [*study.names, START] if start and study.start is not None else study.names
    return {name: study.config(name, 0, 1) for name in names}


def read_study(path: str | Path) -> Study:
    """Read a study's file.

    Raises:
        InputError: it cannot be read, or says something that cannot be done; the message tells where.
    """
    path = Path(path)
    with reading(path, "not a study", "give a TOML file, as docs/verbs.md shows one"):
        told = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    table = _Table(path, "", told)
    wanted = [field.name for field in fields(Study) if field.name not in ("path", "amount")]
    table.only(wanted)
    budget = table.table("budget", needed=True)
    budget.only(BUDGETS)
    if len(budget.told) != 1:
        raise budget.wrong(f"give exactly one of {', '.join(BUDGETS)}")
    kind = next(iter(budget.told))
    amount = budget.value(kind, float if kind == "seconds" else int)
    if not 0 < amount < math.inf:
        raise budget.wrong(f"{kind} {amount}: it must be more than 0")
    start = table.table(START)
    arms = table.table("arms", needed=True)
    study = Study(
        path=path,
        title=table.value("title", str, ""),
        shards=table.place("shards"),
        videos=table.place("videos"),
        clips=table.several("clips", str, None),
        held_out=table.several("held_out", str, ()),
        seeds=table.several("seeds", int),
        measures=table.several("measures", str, TELLING),
        budget=kind,
        amount=amount,
        base=table.table(BASE, needed=True).of_training(),
        arms={name: arms.table(name, needed=True).of_training() for name in arms.told},
        start=None if start is None else start.of_training(("steps",)),
        start_from=table.weights("start_from"),
        sync_expert=table.weights("sync_expert"),
        expert=table.weights("expert") or "expert",
        syncnet=table.place("syncnet", needed=False),
    )
    _check(study, table)
    return study


def _check(study: Study, table: "_Table") -> None:
    """InputError where what the tables say does not go together."""
    for name, values in {"seeds": study.seeds, "clips": study.clips, "measures": study.measures}.items():
        if values is not None and not values:
            raise table.wrong(f"{name}: give at least one")
        doubled = next((v for v in values or () if values.count(v) > 1), None)
        if doubled is not None:
            raise table.wrong(f"{name}: {doubled!r} is there twice; leave one out")
    wrong = next((seed for seed in study.seeds if not 0 <= seed <= LARGEST_SEED), None)
    if wrong is not None:
        raise table.wrong(f"seeds: {wrong} is not from 0 to {LARGEST_SEED}")
    unknown = next((m for m in study.measures if m not in MEASURES), None)
    if unknown is not None:
        raise table.wrong(f"measures: there is no {unknown!r}{_alike(unknown, MEASURES)}")
    if study.syncnet is None and {"lse_d", "lse_c"} & set(study.measures):
        raise table.wrong("measures: lse_d and lse_c are the authors' SyncNet's; give syncnet too, or leave them out")
    _check_speakers(study, table)
    _check_arms(study, table)
    if study.start is not None and study.start_from is not None:
        raise table.wrong("all arms begin with start_from or with [start]; leave one of them out")
    if study.start is not None and "steps" not in study.start:
        raise table.wrong("[start]: steps is missing; say how long the shared beginning is trained")


def _check_speakers(study: Study, table: "_Table") -> None:
    # TrainConfig has them in one text, with commas between; and some texts mean something else there.
    wrong = next((s for s in study.held_out if re.search(r"^\s|\s$|,|^[\d.]*$|^(auto|none)$", s)), None)
    if wrong is not None:
        raise table.wrong(f"held_out: {wrong!r} is no speaker's name; give one name in each text")


def _check_arms(study: Study, table: "_Table") -> None:
    if not study.arms:
        raise table.wrong("[arms]: there is none to compare with the base; add [arms.NAME]")
    for name in study.arms:
        if not NAME.fullmatch(name):
            raise table.wrong(
                f"[arms.{name}]: becomes a folder's name; take at most 64 letters and digits, and . _ + - between"
            )
        alike = [other for other in (BASE, START, *study.arms) if other.casefold() == name.casefold()]
        if len(alike) > 1 or alike[0] != name:
            raise table.wrong(f"[arms.{name}]: {_other(alike, name)} has that name already; give it another")
    configs = {name: study.config(name, study.seeds[0], 1000) for name in study.names}
    for name, config in configs.items():
        same = next((other for other in configs if configs[other] == config), name)
        if same != name:
            told = "the base" if same == BASE else f"[arms.{same}]"
            raise table.wrong(f"[arms.{name}]: is trained exactly as {told}; change a field, or leave it out")
        if config.sync_weight and study.sync_expert is None:
            raise table.wrong(f"[arms.{name}]: has a sync_weight; give sync_expert too, a run folder of train-expert")
    if study.sync_expert is not None and not any(config.sync_weight for config in configs.values()):
        raise table.wrong("sync_expert: no arm has a sync_weight; give one such as 0.03, or leave the expert out")
    if study.start is None or "steps" not in study.start:
        return
    begun = study.config(START, study.seeds[0], 0)
    if begun.sync_weight and study.sync_expert is None:
        raise table.wrong("[start]: has a sync_weight; give sync_expert too, a run folder of train-expert")
    for name, config in configs.items():
        if generator_config(config) != generator_config(begun):
            raise table.wrong(
                f"{table_of(name)}: its generator is another than that of [start], and cannot begin with its weights; "
                "leave out [start], or make them the same"
            )


def _other(alike: list[str], name: str) -> str:
    return next((other for other in alike if other != name), name)


def _alike(name: str, known: Collection[str]) -> str:
    """What is perhaps meant, and else what there is."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; choose among {', '.join(known)}"


@dataclass(frozen=True)
class _Table:
    """A table of the file, and its name for a person."""

    path: Path
    name: str
    told: dict[str, Any]

    def wrong(self, what: str) -> InputError:
        return InputError(f"{self.path}: {f'[{self.name}]: ' if self.name else ''}{what}")

    def only(self, known: Collection[str]) -> None:
        unknown = next((name for name in self.told if name not in known), None)
        if unknown is not None:
            raise self.wrong(f"{unknown} is unknown{_alike(unknown, known)}")

    def value(self, name: str, kind: type, *default: Any) -> Any:
        if name not in self.told and default:
            return default[0]
        if name not in self.told:
            raise self.wrong(f"{name} is missing; {CURE}")
        return self._of_kind(name, self.told[name], (kind,))

    def several(self, name: str, kind: type, *default: Any) -> Any:
        if name not in self.told and default:
            return default[0]
        values = self.told.get(name)
        if not isinstance(values, list):
            raise self.wrong(f"{name} is {'missing' if values is None else 'no list'}; give it as [..., ...]")
        return tuple(self._of_kind(name, value, (kind,)) for value in values)

    def table(self, name: str, needed: bool = False) -> "_Table | None":
        told = self.told.get(name)
        whole = f"{self.name}.{name}" if self.name else name
        if told is None and not needed:
            return None
        if not isinstance(told, dict):
            raise InputError(f"{self.path}: [{whole}] is {'missing' if told is None else 'no table'}; {CURE}")
        return _Table(self.path, whole, told)

    def place(self, name: str, needed: bool = True) -> Path | None:
        text = self.value(name, str) if needed else self.value(name, str, None)
        if text is None:
            return None
        if not text.strip() or "\0" in text:
            raise self.wrong(f"{name}: {text!r} is no path; {CURE}")
        return self.path.parent / Path(text).expanduser()

    def weights(self, name: str) -> Path | str | None:
        """A path, or the name of published weights."""
        path = self.place(name, needed=False)
        published = path is not None and self.told[name] in PRETRAINED and not path.exists()
        return self.told[name] if published else path

    def of_training(self, more: Collection[str] = ()) -> dict[str, Any]:
        """Fields of TrainConfig, and their types; what values they may have it checks itself."""
        kinds = get_type_hints(TrainConfig)
        theirs = next((name for name in self.told if name in OF_THE_STUDY and name not in more), None)
        if theirs is not None:
            raise self.wrong(f"{theirs} is the same for all arms; it is told by the study, not here")
        self.only([name for name in kinds if name not in OF_THE_STUDY or name in more])
        return {
            name: self._of_kind(name, value, get_args(kinds[name]) or (kinds[name],))
            for name, value in self.told.items()
        }

    def _of_kind(self, name: str, value: Any, kinds: tuple[type, ...]) -> Any:
        for kind in kinds:
            if type(value) is kind:
                return value
        if float in kinds and type(value) is int:
            return float(value)
        wanted = next(KINDS[kind] for kind in kinds if kind in KINDS)
        raise self.wrong(f"{name} is {value!r:.60}, and must be {wanted}")
