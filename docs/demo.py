"""Makes README's first picture: portraits and films as they were, and the same people speaking another sentence.

python docs/demo.py --data FOLDER --out docs/demo.webp, where FOLDER holds GRID's clips and what else is named below.
"""

import argparse
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lipgan_colab import preview
from lipgan_colab.media.video import read_video

SIZE, CAPTION, GAP = 196, 22, 4  # pixels: of a face, of the line over a row, between faces
SECONDS, FPS = 3, 25  # as long as a preview is
# Where each face is: left, top and side of a square, in parts of the picture's width. Nobody here was trained on.
SHOWN = {
    "photos/monalisa_yaw16.jpg": (0.08, 0.05, 0.84),
    "grid/people/s25/bbwx8n.mpg": (0.13, 0.0, 0.74),
    "grid/others/lbax4n.mpg": (0.19, 0.0, 0.66),
    "grid/people/s33/s33_1.mpg": (0.14, 0.06, 0.68),
}
SPEECH = "speech/libri_198-209-0000.ogg"


def faces(path: Path, place: tuple[float, float, float]) -> list[Image.Image]:
    """The frames of a film, or a photo as often, cut to the face."""
    count = round(SECONDS * FPS)
    if path.suffix == ".jpg":
        frames = [np.asarray(Image.open(path).convert("RGB"))]
    else:
        frames = [frame for _, frame in islice(read_video(path), count)]
    frames += frames[::-1]  # a film that is too short is played back again, as its result is
    return [cut(frames[n % len(frames)], place) for n in range(count)]


def cut(frame: np.ndarray, place: tuple[float, float, float]) -> Image.Image:
    """The square of a frame in which a face is."""
    left, top, side = (round(part * frame.shape[1]) for part in place)
    return Image.fromarray(frame).crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.LANCZOS)


def sheet(rows: dict[str, list[Image.Image]]) -> Image.Image:
    """Rows of faces, each below its caption."""
    columns = max(map(len, rows.values()))
    whole = Image.new("RGB", (columns * (SIZE + GAP) - GAP, len(rows) * (SIZE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for row, (caption, pictures) in enumerate(rows.items()):
        top = row * (SIZE + CAPTION)
        draw.text((2, top + 2), caption, "black", font)
        for column, picture in enumerate(pictures):
            whole.paste(picture, (column * (SIZE + GAP), top + CAPTION))
    return whole


def main() -> None:
    """Make every film, and one picture of them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the portraits, films and speech")
    parser.add_argument("--out", type=Path, required=True, help="the .webp to make")
    args = parser.parse_args()
    before, after = [], []
    with TemporaryDirectory() as folder:
        for name, place in SHOWN.items():
            film = Path(folder) / f"{Path(name).stem}.mp4"
            print(preview(args.data / name, args.data / SPEECH, "starter", film))
            before.append(faces(args.data / name, place))
            after.append(faces(film, place))
    moments = zip(zip(*before, strict=True), zip(*after, strict=True), strict=True)
    first, *others = (
        sheet({"A portrait, and three films": a, "The same, with another speech (AI-generated)": b}) for a, b in moments
    )
    first.save(args.out, save_all=True, append_images=others, duration=1000 // FPS, loop=0, quality=56, method=6)


if __name__ == "__main__":
    main()
