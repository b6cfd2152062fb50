"""Pictures from and to files: whatever a user's folder holds is read right or refused in one line.

OpenCV decodes plain JPEGs (the many and large ones); Pillow reads headers and every other file, because it knows the
size before it decodes and refuses what is cut short, which OpenCV before 5 does not.
"""

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the plugins are named, because Pillow registers some of them late
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from garbage_synth.errors import GarbageSynthError, InputError, MissingDependencyError
from garbage_synth.io.folders import files_under, require_folder
from garbage_synth.io.opencv import opencv_missing

try:
    import cv2
except ImportError as error:
    raise opencv_missing(error) from error
if not hasattr(cv2, "imdecode"):  # what is left when one of two installed builds is removed
    raise MissingDependencyError("OpenCV is broken; mend it: pip install --force-reinstall --no-deps opencv-python")

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "encode_jpeg",
    "encode_png",
    "image_has_alpha",
    "image_size",
    "list_images",
    "read_mask",
    "read_rgb",
    "read_rgba",
    "require_whole",
]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Lower-case endings of the files that `list_images` takes for pictures."""

MAX_PIXELS = 200_000_000
"""Largest picture that is decoded: a 200-megapixel phone passes, a decompression bomb does not."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, MemoryError)
_pillow_lock = threading.Lock()


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The picture as RGB uint8 (h, w, 3), turned as its EXIF says.

    Gray, palette and CMYK become RGB, alpha is dropped, 16 bits are scaled to 8.
    Raises InputError naming the file where it is missing, no picture, cut short, too large or of 32 bits per channel.
    """
    data = _bytes_of(path)
    plain_jpeg, turn = _plain_jpeg(path, data)
    if plain_jpeg:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if decoded is not None:
            return _turned(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False), turn)
    return _decode(path, data, "RGB")


def read_rgba(path: Path) -> NDArray[np.uint8]:
    """The picture as RGBA uint8 (h, w, 4), turned as its EXIF says; one without alpha is 255 everywhere.

    Raises InputError as `read_rgb` does.
    """
    return _decode(path, _bytes_of(path), "RGBA")


def read_mask(path: Path, size_wh: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """The mask as bool (h, w): true where the gray value is above 127.

    Raises InputError as `read_rgb` does, and where the size is not `size_wh` (width, height).
    """
    gray = _decode(path, _bytes_of(path), "L")
    height, width = gray.shape
    if size_wh is not None and (width, height) != tuple(size_wh):
        raise InputError(f"mask {path} is {width}x{height} pixels, its picture is {size_wh[0]}x{size_wh[1]}")
    return gray > 127


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) after the EXIF turn, read from the header alone. Raises InputError naming the file."""
    try:
        with path.open("rb") as stream, _opened(path, stream) as image:
            width, height = image.size
            return (height, width) if _exif_turn(image) >= 5 else (width, height)
    except OSError as error:
        raise _unreadable(path, error) from error


def require_whole(path: Path) -> None:
    """Raises InputError naming the file where the picture is cut short or cannot be decoded.

    A file that ends as a JPEG or PNG does is taken for whole after a look at its end; all others are decoded.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 64))
            end = stream.read().rstrip(b"\0")
    except OSError as error:
        raise _unreadable(path, error) from error
    if not end.endswith((_JPEG_END, _PNG_END)):
        read_rgb(path)


def image_has_alpha(path: Path) -> bool:
    """Whether the picture carries transparency, by its header alone. Raises InputError naming the file."""
    try:
        with path.open("rb") as stream, _opened(path, stream) as image:
            return image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    except OSError as error:
        raise _unreadable(path, error) from error


def encode_jpeg(image_rgb: NDArray[np.uint8], quality: int = 95) -> bytes:
    """JPEG bytes of an RGB uint8 picture (h, w, 3); quality 1..100."""
    return _encode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """PNG bytes of a uint8 picture: RGB (h, w, 3), RGBA (h, w, 4) or gray (h, w)."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)  # type: ignore[assignment]
    return _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def list_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The picture files in `folder` by their ending, sorted by POSIX path; hidden files are left out.

    Raises InputError where the folder is missing or holds no picture.
    """
    require_folder(folder)
    found = [path for path in files_under(folder, recursive=recursive) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"folder {folder} holds no picture ({kinds}){'' if recursive else ' directly in it'}")
    return found


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"picture {path} does not exist")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder, a picture was expected")
    return InputError(f"picture {path} cannot be read: {error.strerror or error}")


@contextmanager
def _opened(path: Path, stream: io.BufferedReader | io.BytesIO) -> Iterator[Image.Image]:
    """The file's header as a Pillow image (pixels not yet decoded), refused where it is no picture or too large."""
    with _pillow_lock:  # Pillow's own limit is a global below ours; its warnings would be errors under -W error
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = Image.open(stream, formats=_FORMATS)
        except UnidentifiedImageError as error:
            raise InputError(f"{path} is not a picture that can be read ({', '.join(_FORMATS)})") from error
        except _DECODE_ERRORS as error:
            raise InputError(f"picture {path} is damaged: {error}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise InputError(f"picture {path} claims {width}x{height} pixels, at most {MAX_PIXELS:,} are decoded")
        yield image


def _exif_turn(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 where there is none or it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DECODE_ERRORS:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _plain_jpeg(path: Path, data: bytes) -> tuple[bool, int]:
    """(is an RGB or gray JPEG that reaches its end marker, EXIF orientation)."""
    with _opened(path, io.BytesIO(data)) as image:
        whole = data[-64:].rstrip(b"\0").endswith(_JPEG_END)
        return image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB") and whole, _exif_turn(image)


def _decode(path: Path, data: bytes, mode: str) -> NDArray[np.uint8]:
    with _opened(path, io.BytesIO(data)) as image:
        if image.format == "PNG" and data.rfind(_PNG_END) < 0:
            raise InputError(f"picture {path} is damaged: it is cut short")
        turn = _exif_turn(image)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.load()
                return _turned(np.array(_eight_bit(path, image).convert(mode), dtype=np.uint8), turn)
        except _DECODE_ERRORS as error:
            raise InputError(f"picture {path} is damaged: {error}") from error


def _eight_bit(path: Path, image: Image.Image) -> Image.Image:
    """The image with 16-bit gray scaled to 8 bits; Pillow has done so for colour while decoding."""
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise InputError(f"picture {path} has 32 bits per channel, save it with 8 or 16")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    return image


def _turned(pixels: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """The pixels as an EXIF orientation wants them shown."""
    if turn >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _encode(suffix: str, image_bgr: NDArray[Any], options: list[int]) -> bytes:
    done, encoded = cv2.imencode(suffix, image_bgr, options)
    if not done:
        raise GarbageSynthError(f"OpenCV could not encode a picture of shape {image_bgr.shape} as {suffix}")
    return encoded.tobytes()
