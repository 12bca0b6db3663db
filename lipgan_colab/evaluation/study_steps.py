"""How many steps each arm of a study takes, and whether what was begun before is of the same study."""

from collections.abc import Mapping

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.arm_costs import COSTS, are_known, step_costs
from lipgan_colab.evaluation.study import BASE, START, arms_of
from lipgan_colab.evaluation.study_material import Material
from lipgan_colab.evaluation.study_runs import StudyRun
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.weights import SYNC_EXPERT
from lipgan_colab.training.runs import check_config, describe_run, read_config
from lipgan_colab.training.step import TrainConfig


def costs_of(material: Material, arms: Mapping[str, TrainConfig], precision: str) -> dict[str, float]:
    """Seconds of computing that a step of each arm takes (see `step_costs`)."""
    where = (material.study.shards, material.device, material.pleased, precision)
    return step_costs(material.out / COSTS, arms, *where)


def steps_of(material: Material, precision: str) -> dict[str, int]:
    """The steps of the base and each arm that the study's budget is enough for.

    Raises:
        InputError: as `step_costs`.
    """
    study, amount = material.study, material.study.amount
    if study.budget == "steps":
        return dict.fromkeys(study.names, int(amount))
    arms = arms_of(study)
    if study.budget == "samples":
        return {name: max(1, round(amount / config.batch_size)) for name, config in arms.items()}
    if not are_known(material.out / COSTS, arms):
        tqdm.write("each arm is timed, for the budget is of seconds")
    return {name: max(1, round(amount / cost)) for name, cost in costs_of(material, arms, precision).items()}


def check_begun(run: StudyRun, material: Material) -> None:
    """InputError where what was begun in a run's folder is something else than the study says now."""
    arm, config, before = run.arm, run.config, read_config(run.folder)
    if not before:
        return
    pleases = fingerprint(material.pleased) if config.sync_weight else None
    now = describe_run(config, material.dataset) | {SYNC_EXPERT: pleases}
    other = "" if arm in (BASE, START) else "rename the arm, "
    cure = f"the study says otherwise of {arm} now: set it back, {other}or choose another `out`"
    try:
        check_config(run.folder, before, now, cure)
    except InputError as error:
        raise InputError(str(error)) from error  # it is no flags that are meant
    if before.get("steps", config.steps) != config.steps:
        raise InputError(
            f"{run.folder}: {arm} was begun with {before['steps']} steps, and the study now gives it {config.steps}: "
            "set the budget back, or choose another `out`"
        )
