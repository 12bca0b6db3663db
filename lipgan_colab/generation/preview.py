"""What a result will look like, before all of it is made."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.face import LIPS
from lipgan_colab.files import check_place, written_whole
from lipgan_colab.generation.face_frames import FaceFrame
from lipgan_colab.generation.generate import comment_of, counted_frames, marker
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.generation.scene import Scene, spoken_frames
from lipgan_colab.generation.setting import check_files, heard_sound, set_scene, turns_of
from lipgan_colab.generation.turns import Turn
from lipgan_colab.media.film_format import film_format
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.writing import write_video
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.interface import Generator

SECONDS = 3.0  # of what is dubbed that are made
MOMENTS = 6  # of these that are shown
CELL, GAP = 240, 4  # pixels of a picture on the sheet, and between two
SHOWN = 1.6  # of the face's box: what a picture shows
CHANGED = 2  # grey levels: what differs by less has not been changed
COLOUR = (255, 64, 160)  # RGB, of what is changed
SHEETS = (".png", ".jpg", ".jpeg")


def preview(
    face: str | Path,
    speech: str | Path | Sequence[Turn],
    weights: str | Path | Generator,
    out: str | Path,
    options: GenerateOptions = GenerateOptions(),  # noqa: B008 (it is frozen)
    device: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GenerateReport:
    """Make the first three seconds of what `generate` would dub, from the first word on, in the time that these take.

    Args:
        face, speech, weights, options, device, on_progress: as of `generate`.
        out: a .mp4 gets these seconds with their sound; a .png or .jpg one sheet of six moments: the face, what is
            changed of it, and the result.

    Raises:
        InputError: a file cannot be used, or nobody who is to speak is seen in these seconds.
    """
    out, turns = Path(out), turns_of(speech, options)
    is_sheet = out.suffix.lower() in SHEETS
    if not is_sheet and out.suffix.lower() != ".mp4":
        raise InputError(f"{out}: a preview is a .png or .jpg with pictures, or a .mp4; give a name that ends so")
    check_files(face, turns, out)
    check_place(out)
    keep_freed_memory()
    report, clock = GenerateReport(out), StageClock()
    with set_scene(face, turns, weights, options, device, report, clock, SECONDS) as (scene, heard):
        first, end = scene.schedule.first, scene.schedule.frames
        report.frames = end - first
        with closing(counted_frames(ahead(spoken_frames(scene, first, end)), report, on_progress)) as made:
            if is_sheet:
                sheet = _sheet([(frame, picture) for frame, picture in made if frame.acts], scene)
                if sheet is None:
                    raise InputError(
                        f"{face}: nobody who is to speak is seen in what is shown first; choose another part"
                    )
                with written_whole(out) as unfinished:
                    unfinished.write_bytes(cv2.imencode(out.suffix, sheet[..., ::-1])[1].tobytes())
                    marker(scene)(unfinished)
            else:
                sound, rate = heard_sound(heard, scene)
                sound = sound[:, : round((end - first) / report.fps * rate)]
                pictures = (picture for _, picture in made)
                like, comment = None if scene.is_photo else film_format(face), comment_of(scene.generator, options)
                write_video(out, pictures, report.fps, sound, rate, comment, like=like, finish=marker(scene))
    return report


def _sheet(made: list[tuple[FaceFrame, np.ndarray]], scene: Scene) -> np.ndarray | None:
    """Six moments side by side, each the face, what is changed, and the result: uint8 (H, W, 3); None without any."""
    if not made:
        return None
    shown = [made[n] for n in np.unique(np.linspace(0, len(made) - 1, MOMENTS).round().astype(int))]
    columns = [_column(frame, picture, scene) for frame, picture in shown]
    gap = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for column in columns for part in (gap, column)][1:], axis=1)


def _column(frame: FaceFrame, picture: np.ndarray, scene: Scene) -> np.ndarray:
    boxes = np.stack([act.face.box for act in frame.acts])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    middle, side = (low + high) / 2, SHOWN * float((high - low).max())
    changed = np.abs(frame.picture.astype(np.int16) - picture).max(axis=2) > CHANGED
    marked = frame.picture // 2 + 64
    marked[changed] = marked[changed] // 2 + np.uint8(COLOUR) // 2
    cells = []
    for shown in (_with_faces(frame), marked, picture):
        side_pixels = max(2, round(side))
        part = cv2.getRectSubPix(shown, (side_pixels, side_pixels), middle.tolist())
        how = cv2.INTER_AREA if side_pixels > CELL else cv2.INTER_CUBIC
        cells.append(cv2.resize(part, (CELL, CELL), interpolation=how))
    seconds = f"{float(frame.number / scene.report.fps):.2f} s"
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cells[0], seconds, (6, CELL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thick, cv2.LINE_AA)
    gap = np.full((GAP, CELL, 3), 255, np.uint8)
    return np.concatenate([cells[0], gap, cells[1], gap, cells[2]])


def _with_faces(frame: FaceFrame) -> np.ndarray:
    """The frame with the boxes and lips of those whose mouths are changed."""
    drawn = frame.picture.copy()
    for act in frame.acts:
        box = np.rint(act.face.box).astype(int)
        thick = max(1, round(float(box[2] - box[0]) / 150))
        cv2.rectangle(drawn, box[:2].tolist(), box[2:].tolist(), COLOUR, thick, cv2.LINE_AA)
        cv2.polylines(drawn, [np.rint(act.face.landmarks[LIPS]).astype(np.int32)], True, COLOUR, thick, cv2.LINE_AA)
    return drawn
