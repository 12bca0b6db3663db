"""Photos read: upright, in RGB."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lipgan_colab.errors import InputError, reading

MOST_PIXELS = 36_000_000  # that a picture may have whatever its bytes are: a few of them can claim any size
PIXELS_A_BYTE = 4  # that it may have beyond that; photos have fewer than ten
NO_PHOTOS = ("MPEG", "EPS")  # PIL knows MPEG's head but cannot read it, and runs another program on EPS


def is_image(path: str | Path) -> bool:
    """Whether a file is a photo, judged by its content (an animated GIF is a video)."""
    try:
        with Image.open(path) as image:
            return image.format not in NO_PHOTOS and not (image.format == "GIF" and image.n_frames > 1)
    except Image.DecompressionBombError:
        return True  # one that is too large
    except Exception:  # PIL's readers raise anything on what is none of theirs
        return False


def read_image(path: str | Path) -> np.ndarray:
    """A photo as RGB uint8 (H, W, 3), turned upright by its EXIF tag, transparency on white.

    JPEGs of very many pixels are read at half their size, or less. InputError if the file is missing, empty, not a
    picture, or too large.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    if not is_image(path):
        raise InputError(f"{path}: this is not a picture that can be read; save it as JPEG or PNG")
    with reading(path, "this picture is damaged", "use another copy of it"), _opened(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip instead of scale
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.array(image.convert("RGB"))


def _opened(path: str | Path) -> Image.Image:
    """The picture, not decoded yet, and of no more pixels than fit into memory."""
    most = max(MOST_PIXELS, PIXELS_A_BYTE * Path(path).stat().st_size)
    too_large = f"{path}: this picture has too many pixels; save it with at most {MOST_PIXELS / 1e6:.0f} million"
    try:
        image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise InputError(too_large) from error
    while image.width * image.height > most:
        before = image.size
        image.draft(None, (image.width // 2, image.height // 2))  # what JPEG's decoder can, and nothing else
        if image.size == before:
            image.close()
            raise InputError(too_large)
    return image
