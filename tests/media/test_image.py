"""Photos of every kind read as a person sees them."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from lipgan_colab.errors import InputError
from lipgan_colab.media.image import is_image, read_image
from lipgan_colab.media.video import probe_video, read_video

TURNS = {  # how a picture has to be stored so that EXIF's value of that number brings it upright
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


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


def test_damaged_exif_is_a_line(tmp_path, recwarn):
    """PIL raises struct.error for the first of these, and other things for others."""
    for n, block in enumerate((b"II*\0", b"Exif\0\0MM\0*", b"MM\0*\0\0\0\x08\xff\xff", b"II+\0" + bytes(20))):
        path = tmp_path / f"{n}.png"
        Image.new("RGB", (8, 8)).save(path, exif=block)
        try:
            assert is_image(path) and read_image(path).shape == (8, 8, 3)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
    assert not recwarn.list


def test_pictures_of_more_pixels_than_fit_are_refused(tmp_path):
    for name, side in (("large.png", 6500), ("huge.png", 20_000)):
        path = tmp_path / name
        Image.new("1", (side, side)).save(path)
        assert is_image(path)
        with pytest.raises(InputError, match=rf"{name}: this picture has too many pixels; save it with at most 36"):
            read_image(path)


def test_what_is_large_and_can_be_read_is_read_without_a_word(tmp_path, recwarn):
    """Pillow warns of 90 million pixels; of noise a file has enough bytes for them."""
    path = tmp_path / "large.tif"
    noise = np.random.default_rng(0).integers(0, 256, (10_000, 100), np.uint8)
    Image.fromarray(np.tile(noise, (1, 92))).save(path)
    assert max(read_image(path).shape) < 10_000 and not recwarn.list


def test_large_photos_are_read_smaller(tmp_path):
    path = tmp_path / "phone.jpg"
    Image.new("RGB", (8160, 6120), "red").save(path)
    rgb = read_image(path)
    assert rgb.shape == (3060, 4080, 3) and np.abs(rgb[9, 9].astype(int) - (255, 0, 0)).max() < 5
    noise = np.random.default_rng(0).integers(0, 255, (6400, 6400), np.uint8)  # its bytes show that it is a picture
    Image.fromarray(noise).save(tmp_path / "scan.png", compress_level=0)
    assert read_image(tmp_path / "scan.png").shape == (3200, 3200, 3)


def test_the_largest_photo_of_a_phone_is_read_in_bounded_memory(shared):
    path = shared / "data/reports/photo_200_megapixel.jpg"
    look = (
        "import resource, sys; from lipgan_colab.media.image import read_image\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = used(); print(*read_image(sys.argv[1]).shape, used() - before)"
    )
    done = subprocess.run([sys.executable, "-c", look, path], capture_output=True, text=True, check=True)
    height, width, _, megabytes = map(int, done.stdout.split())
    assert (height, width) == (4080, 3060)
    assert megabytes < 900  # whole it would be 800 as PIL has it, and as many again as an array


def test_jpegs_beyond_all_photos_are_refused(tmp_path):
    Image.new("L", (30_000, 9000)).save(tmp_path / "a.jpg")
    assert is_image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a.jpg: this picture has too many pixels; save it with at most 250 million"):
        read_image(tmp_path / "a.jpg")


def drawn():
    """A picture no two corners of which are alike."""
    rows, columns = np.mgrid[:64, :96]
    rgb = np.stack([columns * 255 // 95, rows * 255 // 63, 255 - columns * 255 // 95], axis=2).astype(np.uint8)
    rgb[:20, :30], rgb[44:, 66:] = (255, 0, 0), (0, 0, 255)
    return rgb


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_turned_and_mirrored_photos_come_upright(tmp_path, suffix):
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    rgb = drawn()
    for number, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = number
        stored = Image.fromarray(rgb) if turn is None else Image.fromarray(rgb).transpose(turn)
        tag = {"tiffinfo": {0x0112: number}} if suffix == "tif" else {"exif": exif.tobytes(), "quality": 95}
        stored.save(tmp_path / f"{number}.{suffix}", **tag)
        assert np.abs(read_image(tmp_path / f"{number}.{suffix}").astype(int) - rgb).mean() < 6, number


@pytest.mark.parametrize("name", ["heic_tiles.heic", "heic_whole.heic"])
def test_photos_of_phones_are_read(shared, tmp_path, name):
    pytest.importorskip("pillow_heif")
    for path in (tmp_path / "photo.heic", tmp_path / "photo.jpg", tmp_path / "photo.mp4"):
        shutil.copy(shared / "data/reports" / name, path)
        assert is_image(path)
        rgb = read_image(path)
        with pytest.raises(InputError, match="this is a picture"):
            probe_video(path)
    twin = {"heic_tiles.heic": "reports/heic_same.jpg", "heic_whole.heic": "photos/obama.jpg"}[name]
    same = read_image(shared / "data" / twin)[: len(rgb)]
    assert rgb.shape == same.shape and np.abs(rgb.astype(int) - same).mean() < 3


def test_without_the_package_a_line_says_which_and_what_to_do(shared, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = shared / "data/reports/heic_tiles.heic"
    assert is_image(path)
    with pytest.raises(InputError, match=r"HEIC.*pip install --no-deps pillow-heif, or save it as JPEG"):
        read_image(path)
    with pytest.raises(InputError, match="this is a picture"):
        probe_video(path)


def test_sixteen_bits_transparency_and_cmyk(tmp_path):
    rgb, path = drawn(), tmp_path / "picture.png"
    grey = rgb.mean(axis=2).astype(np.uint8)
    for name in ("a.png", "a.tif"):
        for picture in (rgb[..., ::-1], grey):
            cv2.imwrite(str(tmp_path / name), picture.astype(np.uint16) * 257)
            expected = picture[..., None] if picture.ndim == 2 else rgb
            assert np.abs(read_image(tmp_path / name).astype(int) - expected).max() <= 1

    half = np.where(np.arange(96) < 48, 255, 0).astype(np.uint8) * np.ones((64, 1), np.uint8)
    Image.fromarray(np.dstack([grey, half]), "LA").save(path)
    assert (read_image(path) == np.where(half[..., None] == 0, 255, grey[..., None])).all()
    Image.fromarray(np.dstack([rgb, half])).quantize(200).save(path)
    assert np.abs(read_image(path).astype(int) - np.where(half[..., None] == 0, 255, rgb)).mean() < 6
    Image.fromarray(rgb).save(path, transparency=(255, 0, 0))
    assert (read_image(path)[:20, :30] == 255).all() and (read_image(path)[1:, 31:] == rgb[1:, 31:]).all()

    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "print.jpg", quality=98, subsampling=0)
    assert np.abs(read_image(tmp_path / "print.jpg").astype(int) - rgb).mean() < 3


def test_colours_are_those_of_a_screen(tmp_path):
    """Phones photograph in Display P3; here a profile says that what it calls red is green."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    name = profile.index("sRGB".encode("utf-16-be"))
    profile[name : name + 8] = "mine".encode("utf-16-be")
    red, green = (slice(profile.index(tag) + 4, profile.index(tag) + 12) for tag in (b"rXYZ", b"gXYZ"))
    profile[red], profile[green] = profile[green], profile[red]
    Image.new("RGB", (8, 8), (200, 40, 90)).save(tmp_path / "a.png", icc_profile=bytes(profile))
    assert np.abs(read_image(tmp_path / "a.png")[4, 4].astype(int) - (40, 200, 90)).max() <= 2
    Image.new("RGB", (8, 8), (200, 40, 90)).save(tmp_path / "b.png", icc_profile=b"damaged")
    assert read_image(tmp_path / "b.png")[4, 4].tolist() == [200, 40, 90]


def test_animations_other_than_gifs_are_their_first_picture(tmp_path):
    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    for name in ("a.png", "a.webp", "a.avif"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=100)
        assert is_image(tmp_path / name)
        assert np.abs(read_image(tmp_path / name)[24, 32].astype(int) - (255, 0, 0)).max() < 8
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100)
    assert not is_image(tmp_path / "a.gif") and len(list(read_video(tmp_path / "a.gif"))) == 2


def test_a_pixel_is_a_picture(tmp_path):
    for name in ("a.png", "a.jpg", "a.webp", "a.bmp", "a.tif", "a.gif"):
        Image.new("RGB", (1, 1), (200, 90, 40)).save(tmp_path / name)
        assert read_image(tmp_path / name).shape == (1, 1, 3)


def test_postscript_is_no_photo(tmp_path):
    """To read it PIL would run Ghostscript on it."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    assert not is_image(path)
