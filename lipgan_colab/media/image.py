"""Photos read: upright, in RGB."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lipgan_colab.errors import InputError


def is_image(path: str | Path) -> bool:
    """Whether a file is a photo, judged by its content (an animated GIF is a video)."""
    try:
        with Image.open(path) as image:
            # PIL recognises the heads of MPEG videos, though it cannot read them.
            return image.format != "MPEG" and not (image.format == "GIF" and image.n_frames > 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def read_image(path: str | Path) -> np.ndarray:
    """A photo as RGB uint8 (H, W, 3), turned upright by its EXIF tag, transparency on white.

    InputError if the file is missing, empty or not a picture.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    if not is_image(path):
        raise InputError(f"{path}: this is not a picture that can be read; save it as JPEG or PNG")
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip instead of scale
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: this picture is damaged ({error}); use another copy of it") from error
