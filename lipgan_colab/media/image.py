"""Photos read: upright, in RGB."""

import io
import os
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, features
from PIL.JpegImagePlugin import JpegImageFile

from lipgan_colab.errors import InputError, reading

MOST_PIXELS = 36_000_000  # that a picture may have whatever its bytes are: a few of them can claim any size
PIXELS_A_BYTE = 4  # that it may have beyond that; photos have fewer than ten
MOST_IN_SMALL_FILES = 100_000_000  # of kinds that make few bytes of a photo too
SMALL_FILES = ("HEIF", "AVIF", "WEBP")
MOST_IN_A_JPEG = 250_000_000  # phones make 200 million; they are never all in memory
JPEG_PARTS = (1, 2, 4, 8)  # of its size that its decoder can make at once
NO_PHOTOS = ("MPEG", "EPS")  # PIL knows MPEG's head but cannot read it, and runs another program on EPS

# What the first box of a file says that holds photos (ISO/IEC 23008-12, Annex B and H; AV1 Image File Format, 6).
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
PHOTO_BRANDS = tuple(brand.decode() for brand in HEIF_BRANDS + AVIF_BRANDS)

ORIENTATION = 0x0112  # EXIF's tag, and how its values are turned upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_image(path: str | Path) -> bool:
    """Whether a file is a photo, judged by its content.

    An animated GIF is a video; animated PNG, WebP, AVIF and HEIF are taken for their first picture.
    """
    try:
        if _phones_format(path):
            return True  # whether or not it can be read here
        with _unwarned(), Image.open(path) as image:
            return image.format not in NO_PHOTOS and not (image.format == "GIF" and image.n_frames > 1)
    except Image.DecompressionBombError:
        return True  # one that is too large
    except Exception:  # PIL's readers raise anything on what is none of theirs
        return False


def read_image(path: str | Path) -> np.ndarray:
    """A photo as RGB uint8 (H, W, 3), turned upright by its EXIF tag, in sRGB, transparency on white.

    Those of very many pixels are read at half their size, or less. InputError if the file is missing, empty, not a
    picture, of a kind that this machine lacks the reader for, or too large.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: there is no such file")
    if not is_image(path):
        raise InputError(f"{path}: this is not a picture that can be read; save it as JPEG or PNG")
    _find_reader(path)
    with reading(path, "this picture is damaged", "use another copy of it"), _opened(path) as image:
        with _unwarned():
            image.load()
        turn, profile = _turn(image), image.info.get("icc_profile")
        image = _few_pixels(_in_8_bits(image))
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        image = _in_srgb(image, profile)
        return np.array(image if turn is None else image.transpose(turn))


def _phones_format(path: str | Path) -> str | None:
    """ "HEIC" or "AVIF" where a file is one by its first box; phones give them any name. OSError if it is none."""
    with open(path, "rb") as file:
        head = file.read(256)
    if head[4:8] != b"ftyp":
        return None
    brand, size = head[8:12], int.from_bytes(head[:4], "big")
    if brand in AVIF_BRANDS:
        return "AVIF"
    if brand in HEIF_BRANDS:  # mif1 and msf1 are for any codec
        return "AVIF" if any(head[at : at + 4] in AVIF_BRANDS for at in range(16, min(size, len(head)), 4)) else "HEIC"
    return None


def _find_reader(path: str | Path) -> None:
    """Make PIL able to read a file, or say in one line what is missing."""
    kind = _phones_format(path)
    if kind == "HEIC":
        try:
            import pillow_heif  # here, because only these photos need it
        except ImportError as error:
            cure = "pip install --no-deps pillow-heif, or save it as JPEG"
            raise InputError(f"{path}: this is a HEIC photo, and pillow-heif is not here to read it; {cure}") from error
        pillow_heif.register_heif_opener()
    if kind == "AVIF" and not features.check("avif"):
        raise InputError(
            f"{path}: this is an AVIF picture, and this Pillow cannot read it; save it as JPEG, or take Pillow 11.3"
        )


def _opened(path: str | Path) -> Image.Image:
    """The picture, not decoded yet, and of no more pixels than fit into memory."""
    with open(path, "rb") as file:
        jpeg = file.read(3) == b"\xff\xd8\xff"
    try:
        with _unwarned():
            # PIL itself would refuse more than 179 million pixels, before it knows that they are to be made smaller.
            image = JpegImageFile(path) if jpeg else Image.open(path)
    except Image.DecompressionBombError as error:
        raise _too_large(path, MOST_IN_SMALL_FILES if _phones_format(path) else MOST_PIXELS) from error
    pixels = image.width * image.height
    if jpeg:
        most = MOST_IN_A_JPEG
        part = next((part for part in JPEG_PARTS if pixels <= MOST_PIXELS * part**2), JPEG_PARTS[-1])
        image.draft(None, (max(1, image.width // part), max(1, image.height // part)))
    elif image.format in SMALL_FILES:
        most = MOST_IN_SMALL_FILES
    else:
        most = MOST_PIXELS
    if pixels > max(most, 0 if jpeg else PIXELS_A_BYTE * Path(path).stat().st_size):
        image.close()
        raise _too_large(path, most)
    return image


def _too_large(path: str | Path, most: int) -> InputError:
    jpeg = "" if most == MOST_IN_A_JPEG else f", or as a JPEG with at most {MOST_IN_A_JPEG / 1e6:.0f}"
    return InputError(f"{path}: this picture has too many pixels; save it with at most {most / 1e6:.0f} million{jpeg}")


def _unwarned() -> warnings.catch_warnings:
    """PIL warns of half as many pixels as it refuses, which are counted here, and of EXIF that nobody asked for."""
    return warnings.catch_warnings(action="ignore")


def _turn(image: Image.Image) -> Image.Transpose | None:
    with _unwarned(), suppress(Exception):  # damaged EXIF: PIL raises anything, and the picture may be whole
        return UPRIGHT.get(image.getexif().get(ORIENTATION))


def _in_8_bits(image: Image.Image) -> Image.Image:
    """The picture as RGB, RGBA where something of it may be transparent, or CMYK."""
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip instead of scale
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode in (mode, "CMYK") else image.convert(mode)  # which would copy what is right already


def _few_pixels(image: Image.Image) -> Image.Image:
    """At half its size, or less, where it is larger than anybody needs."""
    part = int(np.ceil(np.sqrt(image.width * image.height / MOST_PIXELS)))
    return image if part <= 1 else image.reduce(part)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture's colours as screens show them: phones photograph in Display P3, printers in their own CMYK."""
    with suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):  # a profile that is damaged, or another kind's
        own = profile and ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if own and own.profile.xcolor_space.strip() == image.mode and "sRGB" not in own.profile.profile_description:
            return ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
