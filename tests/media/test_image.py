"""Photos of every kind read as a person sees them."""

import numpy as np
import pytest
from PIL import Image

from lipgan_colab.errors import InputError
from lipgan_colab.media.image import is_image, read_image


def test_photos(shared):
    for path in (shared / "data" / "photos").iterdir():
        assert is_image(path)
        rgb = read_image(path)
        assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8 and rgb.std() > 10
    for folder in ("tricky", "speech", "grid/others"):
        assert not any(map(is_image, (shared / "data" / folder).iterdir()))


def test_pictures_of_every_kind(tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8) * np.ones((32, 1), np.uint8)
    rgb = np.stack([ramp, ramp[:, ::-1], ramp], axis=2)
    path = tmp_path / "picture.png"

    Image.fromarray(rgb).save(path)
    assert (read_image(path) == rgb).all()
    Image.fromarray(ramp).save(path)
    assert (read_image(path) == ramp[..., None]).all()
    Image.fromarray(ramp.astype(np.uint16) * 257).save(path)
    assert np.abs(read_image(path).astype(int) - ramp[..., None]).max() <= 1
    Image.fromarray(np.dstack([rgb, 0 * ramp])).save(path)
    assert (read_image(path) == 255).all()
    Image.fromarray(rgb).convert("P").save(path, transparency=0)
    assert read_image(path).shape == rgb.shape

    for name, mode in (("p.jpg", "CMYK"), ("p.tif", "RGB"), ("p.webp", "RGB"), ("p.bmp", "RGB"), ("p.gif", "P")):
        Image.fromarray(rgb).convert(mode).save(tmp_path / name)
        assert is_image(tmp_path / name)
        assert np.abs(read_image(tmp_path / name).astype(int) - rgb).mean() < 20, name

    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: the stored picture is to be turned a quarter clockwise
    Image.fromarray(rgb).save(tmp_path / "phone.png", exif=exif)
    assert (read_image(tmp_path / "phone.png") == np.rot90(rgb, -1)).all()


def test_what_is_no_picture_is_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    for name in ("cut.png", "empty.jpg", "text.jpg", "missing.jpg"):
        with pytest.raises(InputError) as error:
            read_image(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_damaged_exif_is_a_line(tmp_path):
    """PIL raises struct.error for the first of these, and other things for others."""
    for n, block in enumerate((b"II*\0", b"Exif\0\0MM\0*", b"MM\0*\0\0\0\x08\xff\xff", b"II+\0" + bytes(20))):
        path = tmp_path / f"{n}.png"
        Image.new("RGB", (8, 8)).save(path, exif=block)
        try:
            assert is_image(path) and read_image(path).shape == (8, 8, 3)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_pictures_of_more_pixels_than_fit_are_refused(tmp_path):
    for name, side in (("large.png", 6500), ("huge.png", 20_000)):
        path = tmp_path / name
        Image.new("1", (side, side)).save(path)
        assert is_image(path)
        with pytest.raises(InputError, match=rf"{name}: this picture has too many pixels; save it with at most 36"):
            read_image(path)


def test_large_photos_are_read_smaller(tmp_path):
    path = tmp_path / "phone.jpg"
    Image.new("RGB", (8160, 6120), "red").save(path)
    rgb = read_image(path)
    assert rgb.shape == (3060, 4080, 3) and np.abs(rgb[9, 9].astype(int) - (255, 0, 0)).max() < 5


def test_postscript_is_no_photo(tmp_path):
    """To read it PIL would run Ghostscript on it."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    assert not is_image(path)
