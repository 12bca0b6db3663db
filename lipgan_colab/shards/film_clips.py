"""A film to clips: taken apart where it cuts, in every shot the face cropped, its speech made into features.

All of it is done clip by clip, so that an hour of film takes little more memory than its sound.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.corpora.corpus import SHOT, Utterance
from lipgan_colab.errors import CONTROL, InputError, check_ranges
from lipgan_colab.faces import geometry, tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import INNER_LIPS, LIPS, Face, sizes
from lipgan_colab.faces.mesh import kept_points
from lipgan_colab.media.cuts import shot_numbers, thumbnail
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import probe_video, read_video, resample_frames
from lipgan_colab.shards.gates import Gates, Rejected, check_picture, check_sound
from lipgan_colab.shards.shard_file import VOICE_SCALE, UtteranceRecord
from lipgan_colab.speech.features import MEL_STEP, MFCC_STEP, MFCC_WINDOW, mel, mfcc
from lipgan_colab.speech.sync import clip_sync

KEPT_FRAMES = (
    256 << 20
)  # bytes of a shot's pictures that are kept until its boxes are known; a longer one is read twice
LONGEST = 60  # seconds of a clip: a shot that goes on and on becomes several, or memory would grow with it
CONTEXT = 800  # samples before and after a shot that its first and last columns hear: whole columns of MFCC and of mel
RANGES = {  # of the settings
    "fps": (1, 240),
    "size": (96, 1024),
    "jpeg_quality": (1, 100),
    "utterances_per_shard": (1, 100_000),
    "sound_offset": (-250, 250),
}


@dataclass(frozen=True)
class PreprocessConfig:
    """How films become shards.

    Attributes:
        fps: frames a second in the shards, 1 to 240; other videos are resampled by their time stamps.
        size: width and height of the face crops in pixels, 96 to 1024; a generator learns from 96, 192 or 288.
        jpeg_quality: 1 to 100.
        utterances_per_shard: films (kept or skipped) that one shard stands for.
        sound_offset: frames by which the sound of this corpus is late (early where < 0), 250 at most; it is moved back
            by as many.
        gates: what a clip must come up to.
    """

    fps: int = 25
    size: int = 96
    jpeg_quality: int = 95
    utterances_per_shard: int = 200
    sound_offset: int = 0
    gates: Gates = field(default_factory=Gates)

    def __post_init__(self):
        check_ranges(self, RANGES)


def film_clips(
    utterance: Utterance, finder: FaceFinder, config: PreprocessConfig = PreprocessConfig()
) -> Iterator[UtteranceRecord | dict]:
    """Decode one film, and of each of its shots follow the largest face, crop it, and compute its speech features.

    A film without a cut is one clip and keeps its id; but of a long one each minute is one. The shots of others are
    numbered in their order, clip.mp4#1, ..., those that cannot be used as well, so that other gates do not change what
    the rest is called. Black between them belongs to none, nor do frames in which one fades into the next.

    Yields:
        The record of each clip, or {"id", "gate", "reason"} where it cannot be used, once it is done. One bad film must
        not end a night's work: what goes wrong on the way is told in the same form.
    """
    try:
        yield from _clips(utterance, finder, config)
    except Rejected as error:
        yield skipped(utterance, error.gate, str(error))
    except InputError as error:
        yield skipped(utterance, "unreadable", str(error))
    except Exception as error:
        yield skipped(utterance, "error", f"unexpected {type(error).__name__}: {error}")


def skipped(utterance: Utterance, gate: str, reason: str) -> dict:
    """What stands in a shard for a film, or a shot of it, that cannot be used."""
    named = CONTROL.sub(" ", str(utterance.path)).strip()  # as an InputError says it
    return {
        "id": utterance.id,
        "gate": gate,
        "reason": reason.replace(f"{utterance.path}: ", "").replace(f"{named}: ", ""),
    }


def _clips(utterance: Utterance, finder: FaceFinder, config: PreprocessConfig) -> Iterator[UtteranceRecord | dict]:
    speech, wanted, shots = _speech(utterance, config), _wanted_shot(utterance), 0
    with closing(_Film(utterance.path, config.fps, len(speech))) as film:
        for shot in _shots(film, finder, config.gates.max_cut):
            shots = shot.number
            if wanted is None and not shot.is_only:
                yield _clip(replace(utterance, id=f"{utterance.id}#{shots}"), film, shot, speech, config)
            elif wanted in (None, shots):
                yield _clip(utterance, film, shot, speech, config)
            if wanted == shots:
                return
            film.forget(shot.stop)
    if wanted is not None:
        raise Rejected("no such shot", f"the film has {shots} of them")
    if not shots:
        raise Rejected("face not seen", "a face in none of its frames: each is of one colour")


def _wanted_shot(utterance: Utterance) -> int | None:
    """Which shot of its file alone an utterance means, as its id says; None for all of them."""
    shot = SHOT.fullmatch(utterance.id)
    if shot is None or shot[1].rpartition("/")[2] not in (utterance.path.name, utterance.path.stem):
        return None
    return int(shot[2])


@dataclass(frozen=True)
class _Shot:
    """Frames of a film in which it does not cut, a minute at most.

    Attributes:
        number: which of its shots, from 1 on.
        start, stop: its first frame, and the one after its last one.
        track: of each frame the face that is followed.
        boxes: of all faces, largest first, a list a frame.
        is_only: whether the film has no other.
        is_last: whether the film ends with it.
    """

    number: int
    start: int
    track: list[Face | None]
    boxes: list[list[np.ndarray]]
    is_only: bool = False
    is_last: bool = False

    @property
    def stop(self) -> int:
        return self.start + len(self.track)


def _shots(film: "_Film", finder: FaceFinder, max_cut: float) -> Iterator[_Shot]:
    """The shots of a film, each as soon as the next one begins."""
    found: deque[list[Face]] = deque()  # of frames of which the shot is not known yet
    held, frames = None, 0

    def thumbnails() -> Iterator[np.ndarray]:
        for frame in film:
            found.append(finder.find(frame))
            yield thumbnail(frame)

    for number, group in groupby(_piece_numbers(shot_numbers(thumbnails(), max_cut), LONGEST * film.fps, film.count)):
        if number is not None and held is not None:
            yield held
        boxes: list[list[np.ndarray]] = []
        track = list(tracking.track_found(_noted(found, group, boxes)))
        if number is not None:
            held = _Shot(number, frames, track, boxes)
        frames += len(track)
    if held is not None:
        yield replace(held, is_only=held.number == 1, is_last=held.stop == frames)


def _piece_numbers(shots: Iterable[int | None], longest: int, frames: int) -> Iterator[int | None]:
    """The numbers of shots (see shot_numbers) where each goes on for `longest` frames at most; the last of a film of so
    many frames for half as many more, so that no crumb is left."""
    number = length = 0
    last = None
    for place, shot in enumerate(shots):
        if shot is not None:
            if shot != last or (length >= longest and frames - place >= longest / 2):
                number, length = number + 1, 0
            last, length = shot, length + 1
        yield None if shot is None else number


def _noted(found: deque[list[Face]], frames: Iterable, boxes: list[list[np.ndarray]]) -> Iterator[list[Face]]:
    """The faces of as many frames, whose boxes alone are kept."""
    for _ in frames:
        faces = found.popleft()
        boxes.append([face.box for face in faces])
        yield faces


class _Film:
    """A film's pictures at a constant rate, as long as there is sound, whose shots are gone through once more.

    Those of a shot are kept while they are few; a long one, which would not fit into memory, is decoded again.
    """

    def __init__(self, path: Path, fps: int, samples: int):
        self.path, self.fps = path, fps
        self.count = int(np.ceil(samples * fps / SAMPLE_RATE))  # later frames belong to no sound
        self._kept: deque[np.ndarray] = deque()
        self._bytes = self._first = 0  # of what is kept, and the number of the first frame of it
        self._again, self._due = self._decoded(), 0  # follows behind where shots are long, and the frame it is at

    def _decoded(self) -> Iterator[np.ndarray]:
        with closing(read_video(self.path)) as film:
            yield from islice(resample_frames(film, self.fps), self.count)

    def __iter__(self) -> Iterator[np.ndarray]:
        """All frames, once."""
        with closing(self._decoded()) as frames:
            for frame in frames:
                self._kept.append(frame)
                self._bytes += frame.nbytes
                if self._bytes > KEPT_FRAMES:
                    self.forget(self._first + len(self._kept))
                yield frame

    def between(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Frames that have been gone through and not been forgotten, later ones at each call."""
        if start >= self._first:
            yield from islice(self._kept, start - self._first, stop - self._first)
            return
        yield from islice(self._again, start - self._due, stop - self._due)
        self._due = stop

    def forget(self, stop: int) -> None:
        """Keep no frame before this one."""
        while self._kept and self._first < stop:
            self._bytes -= self._kept.popleft().nbytes
            self._first += 1

    def close(self) -> None:
        self._again.close()


def _speech(utterance: Utterance, config: PreprocessConfig) -> np.ndarray:
    try:
        speech = read_speech(utterance.path)
    except InputError as error:
        # Only now, because it costs a look into the file: is it the sound that is missing, or everything?
        gate = "unreadable" if probe_video(utterance.path).has_sound else "no sound"
        raise Rejected(gate, str(error)) from error
    check_sound(speech, config.gates)
    late = round(config.sound_offset * SAMPLE_RATE / config.fps)
    return speech[late:] if late >= 0 else np.concatenate([np.zeros(-late, speech.dtype), speech])


def _clip(
    utterance: Utterance, film: _Film, shot: _Shot, speech: np.ndarray, config: PreprocessConfig
) -> UtteranceRecord | dict:
    """What becomes of a shot, called as the utterance is, of the film's whole speech."""
    first, last = (round(frame * SAMPLE_RATE / config.fps) for frame in (shot.start, shot.stop))
    if shot.is_last:  # what is said after the last frame belongs to it
        last = len(speech)
    try:
        if not shot.is_only:
            check_sound(speech[first:last], config.gates)
        check_picture(shot.track, shot.boxes, config.gates)
    except Rejected as error:
        where = "" if shot.is_only else f" ({shot.start / config.fps:.1f} to {shot.stop / config.fps:.1f} s)"
        return skipped(utterance, error.gate, f"{error}{where}")
    followed = tracking.fill_gaps(tracking.smooth_boxes(shot.track))
    pictures = film.between(shot.start, shot.stop)
    crops = (geometry.crop(frame, face.box, config.size) for frame, face in zip(pictures, followed, strict=True))
    cepstra, spectrum = _features(speech, first, last)
    return UtteranceRecord(
        id=utterance.id,
        speaker=utterance.group,
        licence=utterance.licence,
        jpegs=[_jpeg(crop, config.jpeg_quality) for crop in crops],
        found=np.array([face is not None for face in shot.track]),
        box=np.stack([face.box for face in followed]),
        head_pose=np.array([(face.yaw, face.pitch, face.roll) for face in followed], np.float32),
        lip_landmarks=np.stack([_lips(face, config.size) for face in followed]),
        mfcc=cepstra,
        mel=spectrum,
        sync=clip_sync(_openings(followed), spectrum, config.fps),
        mesh=np.stack([_mesh(face) for face in followed]),
        voice=np.clip(np.rint(speech[first:last] * VOICE_SCALE), -VOICE_SCALE, VOICE_SCALE).astype(np.int16),
    )


def _features(speech: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """MFCC and mel of the samples from `first` to `last`, as many columns as these have alone.

    Column 0 is where the first sample is, so that the shot's first frame has its window as any film's has; columns at
    the ends hear what is really said before and after it.
    """
    before = CONTEXT if first >= CONTEXT else 0
    heard, samples = speech[first - before : last + CONTEXT], last - first
    cepstra, spectrum = mfcc(heard)[:, before // MFCC_STEP :], mel(heard)[:, before // MEL_STEP :]
    columns = max(1, (samples - MFCC_WINDOW) // MFCC_STEP + 1)
    return cepstra[:, :columns], spectrum[:, : samples // MEL_STEP + 1]


def _jpeg(crop: np.ndarray, quality: int) -> bytes:
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return encoded.tobytes()


def _lips(face: Face, size: int) -> np.ndarray:
    """Outer, then inner lip landmarks in the crop, (40, 2) in [0, 1]."""
    points = LIPS + INNER_LIPS
    return geometry.crop_points(face.landmarks[points], face.box, size).astype(np.float32) / size


def _mesh(face: Face) -> np.ndarray:
    """The points that tell pose and mouth, as a shard keeps them: float16 (K, 3)."""
    points = kept_points()
    places = geometry.crop_points(face.landmarks[points], face.box, 1)
    depth = np.full(len(points), np.nan) if face.depth is None else face.depth[points] / sizes(face.box)
    return np.column_stack([places, depth]).astype(np.float16)


def _openings(followed: Sequence[Face]) -> np.ndarray:
    """How far the mouth is open in each frame, (F,)."""
    return np.array([geometry.mouth_opening(face.landmarks) for face in followed])
