"""What a detector is trained on: pictures scaled once, and varied samples of them that depend on their number alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from garbage_synth.config.detector import AugmentConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.detect.models import SIDE_MULTIPLE

__all__ = ["LabelledPicture", "Sample", "Samples", "canvas_hw", "padded", "scaled"]

Picture = NDArray[np.uint8]

GREY = 127
"""What lies outside of pictures."""

_MIN_BOX_PX = 2.0


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A training picture, not yet read. boxes_xyxy: float64 (n, 4), pixels of the picture as it lies on disk;
    classes: int64 (n,), from 0. read: returns RGB uint8 (h, w, 3)."""

    read: Callable[[], Picture]
    boxes_xyxy: NDArray[np.float64]
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """picture: uint8 (3, h, w), RGB. boxes: float32 (n, 4), xyxy in its pixels; classes: int64 (n,), from 0."""

    picture: Tensor
    boxes: Tensor
    classes: Tensor


class Samples(Dataset[Sample]):
    """Samples number first, first + 1, ... of a training: each is a function of (seed, its number).

    Every epoch shows each picture once as the first of a sample; the other three of a mosaic are drawn. A picture
    zoomed out leaves grey around it, one zoomed in is cut. Pictures are scaled to `image_px` and kept in memory as long
    as `cache_bytes` last.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        augment: AugmentConfig,
        *,
        image_px: int,
        size_hw: tuple[int, int],
        seed: int,
        first: int,
        stop: int,
        cache_bytes: int,
    ) -> None:
        self._pictures = pictures
        self._augment = augment
        self._image_px = image_px
        self._size_hw = size_hw
        self._seed = seed
        self._first = first
        self._stop = stop
        self._room = cache_bytes
        self._cache: dict[int, tuple[Tensor, Tensor]] = {}
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return self._stop - self._first

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = self._first + index
        rng = rng_for(self._seed, "train-detector", "sample", number)
        picture, boxes, classes = self._composed(number, rng)
        return Sample(self._coloured(picture, rng), boxes, classes)

    def _composed(self, number: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """One picture, or four whose corners meet at a point, zoomed, mirrored and laid on the canvas."""
        height, width = self._size_hw
        own = self._turn(number)
        if rng.random() < self._augment.mosaic:
            others = rng.integers(len(self._pictures), size=3)
            meet_x, meet_y = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.7)
            tiles = [
                (own, (0.0, 0.0, meet_x, meet_y)),
                (int(others[0]), (meet_x, 0.0, width, meet_y)),
                (int(others[1]), (0.0, meet_y, meet_x, height)),
                (int(others[2]), (meet_x, meet_y, width, height)),
            ]
        else:
            tiles = [(own, (0.0, 0.0, width, height))]
        canvas = torch.full((3, height, width), GREY, dtype=torch.uint8)
        boxes, classes = [], []
        for picture, window in tiles:
            tile_boxes = self._lay(canvas, picture, tuple(round(edge) for edge in window), rng)
            keep = _seen(*tile_boxes, min_visible=self._augment.min_visible)
            boxes.append(tile_boxes[1][keep])
            classes.append(torch.from_numpy(self._pictures[picture].classes)[keep])
        return canvas, torch.cat(boxes), torch.cat(classes)

    def _lay(
        self, canvas: Tensor, index: int, window: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw a picture into a window (x0, y0, x1, y1) of the canvas; its boxes there, whole and cut to the window."""
        image, boxes = self._scaled(index)
        zoom = float(np.exp(rng.uniform(*np.log(self._augment.scale))))
        before = image.shape[-2:]
        size = [max(1, round(side * zoom)) for side in before]
        image = functional.resize(image, size, antialias=True)
        boxes = boxes * torch.tensor([size[1] / before[1], size[0] / before[0]] * 2)
        if rng.random() < self._augment.flip_horizontal:
            image, boxes = functional.horizontal_flip(image), _mirrored(boxes, size, functional.horizontal_flip)
        if rng.random() < self._augment.flip_vertical:
            image, boxes = functional.vertical_flip(image), _mirrored(boxes, size, functional.vertical_flip)
        x0, y0, x1, y1 = window
        left = x0 + _between(0, x1 - x0 - size[1], rng)
        top = y0 + _between(0, y1 - y0 - size[0], rng)
        cut_x0, cut_y0, cut_x1, cut_y1 = max(x0, left), max(y0, top), min(x1, left + size[1]), min(y1, top + size[0])
        canvas[:, cut_y0:cut_y1, cut_x0:cut_x1] = image[:, cut_y0 - top : cut_y1 - top, cut_x0 - left : cut_x1 - left]
        boxes = boxes + torch.tensor([left, top, left, top])
        low, high = torch.tensor([x0, y0, x0, y0]), torch.tensor([x1, y1, x1, y1])
        return boxes, boxes.clamp(low, high)

    def _coloured(self, picture: Tensor, rng: np.random.Generator) -> Tensor:
        """The canvas with brightness, contrast, saturation and hue changed."""
        augment = self._augment
        for change, most in (
            (functional.adjust_brightness, augment.brightness),
            (functional.adjust_contrast, augment.contrast),
            (functional.adjust_saturation, augment.saturation),
        ):
            factor = 1 + most * rng.uniform(-1, 1)
            if most:
                picture = change(picture, factor)
        turn = augment.hue * rng.uniform(-1, 1)
        return functional.adjust_hue(picture, turn) if augment.hue else picture

    def _turn(self, number: int) -> int:
        """The picture whose turn it is."""
        epoch, place = divmod(number, len(self._pictures))
        if self._order is None or self._order[0] != epoch:
            rng = rng_for(self._seed, "train-detector", "epoch", epoch)
            self._order = epoch, rng.permutation(len(self._pictures))
        return int(self._order[1][place])

    def _scaled(self, index: int) -> tuple[Tensor, Tensor]:
        """uint8 (3, h, w) at training size and float32 boxes in its pixels."""
        if index in self._cache:
            return self._cache[index]
        labelled = self._pictures[index]
        picture = labelled.read()
        small = scaled(picture, self._image_px)
        ratio = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]] * 2)
        found = (
            torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1))),
            torch.from_numpy((labelled.boxes_xyxy * ratio).astype(np.float32)),
        )
        if self._room >= small.nbytes:
            self._room -= small.nbytes
            self._cache[index] = found
        return found


def scaled(picture_rgb: Picture, image_px: int) -> Picture:
    """The picture with its longer side at image_px, RGB uint8 (h, w, 3)."""
    height, width = picture_rgb.shape[:2]
    ratio = image_px / max(height, width)
    if ratio == 1:
        return picture_rgb
    size_wh = max(1, round(width * ratio)), max(1, round(height * ratio))
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture_rgb, size_wh, interpolation=method), np.uint8)


def padded(picture_rgb: Picture) -> Picture:
    """The picture at the upper left of a grey canvas whose sides are multiples of SIDE_MULTIPLE."""
    height, width = picture_rgb.shape[:2]
    canvas = np.full((*(-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in (height, width)), 3), GREY, np.uint8)
    canvas[:height, :width] = picture_rgb
    return canvas


def canvas_hw(sizes_wh: Sequence[tuple[int, int]], image_px: int) -> tuple[int, int]:
    """Height and width of samples: the pictures' median shape, the longer side image_px, rounded to SIDE_MULTIPLE."""
    aspect = float(np.median([width / height for width, height in sizes_wh]))
    height, width = (image_px / aspect, image_px) if aspect >= 1 else (image_px, image_px * aspect)
    rows, columns = (max(1, round(side / SIDE_MULTIPLE)) for side in (height, width))
    return rows * SIDE_MULTIPLE, columns * SIDE_MULTIPLE


def _seen(whole: Tensor, cut: Tensor, *, min_visible: float) -> Tensor:
    """Which boxes are still targets after being cut: bool (n,)."""
    sides, area = cut[:, 2:] - cut[:, :2], (whole[:, 2:] - whole[:, :2]).prod(1)
    return (sides.prod(1) >= min_visible * area) & (sides >= _MIN_BOX_PX).all(1)


def _between(one: int, other: int, rng: np.random.Generator) -> int:
    return int(rng.integers(min(one, other), max(one, other) + 1))


def _mirrored(boxes: Tensor, size_hw: Sequence[int], flip: Callable[[Tensor], Tensor]) -> Tensor:
    known = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=tuple(size_hw))
    return torch.Tensor(flip(known))
