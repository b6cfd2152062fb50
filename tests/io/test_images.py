import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from garbage_synth.errors import InputError
from garbage_synth.io import images
from garbage_synth.io.images import (
    encode_jpeg,
    encode_png,
    image_size,
    list_images,
    read_mask,
    read_rgb,
    read_rgba,
    require_whole,
)
from tests.makers import belt_rgb, item_rgba, photo_rgb, save

PHOTO = photo_rgb(64, 48, (200, 30, 30))


def test_read_rgb_gives_the_pixels_of_a_png(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "a.png", PHOTO)), PHOTO)


def test_read_rgb_of_a_jpeg_is_rgb_not_bgr_and_equals_pillow(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", PHOTO)
    expected = np.asarray(Image.open(path), dtype=int)
    assert np.abs(read_rgb(path).astype(int) - expected).max() <= 4
    assert expected[24, 32, 0] > expected[24, 32, 2] + 100


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_read_rgb_turns_as_exif_says(tmp_path: Path, name: str, turn: int) -> None:
    blocks = np.zeros((32, 48, 3), np.uint8)
    blocks[:16, :16], blocks[:16, 32:], blocks[16:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / name
    Image.fromarray(blocks).save(path, exif=exif, **({"quality": 100, "subsampling": 0} if name == "a.jpg" else {}))
    from PIL import ImageOps

    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image), dtype=int)
    assert np.abs(read_rgb(path).astype(int) - expected).max() <= 12
    assert image_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK"])
def test_read_rgb_converts_every_usual_mode(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    suffix = {"CMYK": "jpg"}.get(mode, "png")
    image.save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as stored:
        expected = np.asarray(stored.convert("RGB"))
    result = read_rgb(tmp_path / f"a.{suffix}")
    assert result.shape == (48, 64, 3)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


def test_read_rgb_of_a_gray_jpeg_has_three_equal_channels(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", PHOTO[..., 0])
    result = read_rgb(path)
    assert np.ptp(result.astype(int), axis=2).max() == 0
    assert np.abs(result[..., 0].astype(int) - PHOTO[..., 0]).mean() < 3


def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[..., 0].ravel(), np.arange(256))


def test_sixteen_bit_rgb_png_is_scaled(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">6H", 0, 32768, 65535, 257, 514, 771) for _ in range(2))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[0], [[0, 128, 255], [1, 2, 3]])


def test_thirty_two_bit_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif has 32 bits per channel"):
        read_rgb(tmp_path / "a.tif")


def test_palette_transparency_becomes_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode=None).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read_rgba(tmp_path / "a.png")[..., 3], [[0, 255], [255, 0]])


def test_read_rgba_keeps_alpha_and_fills_it_where_absent(tmp_path: Path) -> None:
    item = item_rgba(20, 12, (10, 200, 30))
    np.testing.assert_array_equal(read_rgba(save(tmp_path / "a.png", item)), item)
    assert (read_rgba(save(tmp_path / "b.png", PHOTO))[..., 3] == 255).all()


def _cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"])
@pytest.mark.parametrize("reader", [read_rgb, read_rgba, read_mask])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, name: str, share: float, reader) -> None:
    path = _cut(save(tmp_path / name, belt_rgb(120, 90)), share)
    with pytest.raises(InputError, match=name):
        reader(path)


def test_a_cut_jpeg_with_an_embedded_preview_is_refused(tmp_path: Path) -> None:
    """The preview in the EXIF block has an end marker of its own."""
    preview = io.BytesIO()
    Image.fromarray(PHOTO).save(preview, "JPEG")
    exif = Image.Exif()
    exif[0x010E] = preview.getvalue()
    Image.fromarray(belt_rgb(200, 150)).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(InputError, match=r"a\.jpg"):
        read_rgb(_cut(tmp_path / "a.jpg", 0.7))


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", PHOTO)
    expected = read_rgb(path)
    path.write_bytes(path.read_bytes() + b"\0" * 500 + b"trailer of some camera")
    assert np.abs(read_rgb(path).astype(int) - expected).max() <= 4


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
@pytest.mark.parametrize("reader", [read_rgb, read_rgba, read_mask, image_size])
def test_text_and_stubs_named_jpg_are_refused(tmp_path: Path, data: bytes, reader) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.jpg"):
        reader(tmp_path / "a.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    for reader in (read_rgb, read_rgba, read_mask, image_size):
        with pytest.raises(InputError, match=r"bomb\.png claims 30000x30000"):
            reader(tmp_path / "bomb.png")


def test_a_large_honest_picture_is_read_and_pillows_limit_is_left_alone(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    Image.new("1", (19_000, 10_000)).save(tmp_path / "large.png")  # 190 megapixels: beyond Pillow's own limit
    assert image_size(tmp_path / "large.png") == (19_000, 10_000)
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_damaged_exif_block_does_not_stop_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", PHOTO)
    data = path.read_bytes()
    broken = b"Exif\0\0II*\0\xff\xff\xff\xff"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken + data[2:])
    assert read_rgb(path).shape == (48, 64, 3)
    assert image_size(path) == (64, 48)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg does not exist"):
        read_rgb(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match="is a folder"):
        image_size(tmp_path)


def test_read_mask_thresholds_above_127(tmp_path: Path) -> None:
    values = np.array([[0, 127, 128, 255]], np.uint8)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", values)), [[False, False, True, True]])


def test_read_mask_of_another_size_names_both_sizes(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
    assert read_mask(path, (6, 4)).shape == (4, 6)
    with pytest.raises(InputError, match=r"m\.png is 6x4 pixels, its picture is 4x6"):
        read_mask(path, (4, 6))


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3), (7, 5, 4)])
def test_encode_png_is_read_back_exactly(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(pixels))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_encode_jpeg_keeps_channel_order_and_obeys_quality(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(PHOTO))
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - PHOTO).mean() < 3
    assert len(encode_jpeg(PHOTO, 50)) < len(encode_jpeg(PHOTO, 95))


def test_list_images_sorts_by_posix_path_and_leaves_out_the_hidden(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c/a.jpg", ".hidden.jpg", ".cache/x.jpg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert [path.name for path in list_images(tmp_path)] == ["a.PNG", "b.jpg"]
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path, recursive=True)]
    assert found == ["a.PNG", "b.jpg", "c/a.jpg"]


def test_list_images_walks_a_loop_of_links_once(tmp_path: Path) -> None:
    save(tmp_path / "a" / "x.png", PHOTO)
    (tmp_path / "a" / "back").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
    assert len(list_images(tmp_path, recursive=True)) == 1


def test_list_images_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no picture"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        list_images(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        list_images(tmp_path / "file")


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "apt-get install --no-install-recommends"),
        ("", "force-reinstall"),
    ],
)
def test_an_opencv_that_does_not_work_names_the_remedy(tmp_path: Path, fake: str, said: str) -> None:
    (tmp_path / "cv2.py").write_text(fake)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import garbage_synth.io.images"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependencyError" in child.stderr
    assert said in child.stderr


def test_suffixes_are_lower_case() -> None:
    assert all(suffix == suffix.lower() for suffix in images.IMAGE_SUFFIXES)


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp", "tif"])
def test_a_whole_picture_is_told_from_one_that_is_cut_short(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", PHOTO)
    whole = path.read_bytes()
    require_whole(path)
    path.write_bytes(whole + b"\0" * 20)  # some cameras fill up to a block
    require_whole(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"a.{ending} is "):
        require_whole(path)
    with pytest.raises(InputError, match="does not exist"):
        require_whole(tmp_path / "none")
