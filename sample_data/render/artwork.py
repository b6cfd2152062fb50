"""Invented print designs for packaging and paper, drawn from a random generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sample_data.render.print_elements import (
    Colour,
    Palette,
    background,
    barcode,
    brand_word,
    fitted_text,
    handling_icon,
    loop_icon,
    luminance,
    motif,
    nutrition_table,
    palette,
    product_word,
    readable_on,
    text_block,
)

KINDS = ("bottle", "can", "carton", "box", "retail", "newsprint", "flyer", "document", "tray")


def label(rng: np.random.Generator, kind: str, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Return one print design as an (h, w, 3) RGB image.

    ``kind`` is one of ``KINDS``: "bottle" and "can" wrap once around; "carton" and "retail" hold
    four equal upright panels side by side (front, side, front, side); "box" is flexo print on
    brown board; "newsprint", "flyer" and "document" are pages; "tray" is a grocery sticker.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown print kind {kind!r}")
    if kind in ("bottle", "can"):
        image = _wrap(rng, size_wh, tall=kind == "can")
    elif kind in ("carton", "retail"):
        image = _four_panels(rng, size_wh, "carton" if kind == "carton" else "dry")
    elif kind == "box":
        return (kraft_board(rng, size_wh) * flexo_ink(rng, size_wh)).astype(np.uint8)
    elif kind == "newsprint":
        image = _newspaper_page(rng, size_wh)
    elif kind == "flyer":
        image = _flyer_page(rng, size_wh)
    elif kind == "document":
        image = _document_page(rng, size_wh)
    else:
        image = _grocery_sticker(rng, size_wh)
    return np.array(image, dtype=np.uint8)


def _front(
    rng: np.random.Generator,
    image: Image.Image,
    box: tuple[int, int, int, int],
    colours: Palette,
    words: tuple[str, str],
    layout: int,
) -> None:
    """Draw a brand face into ``box``; ``layout`` 0..3 selects the arrangement."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    pen = ImageDraw.Draw(image)
    mid = image.getpixel(((x0 + x1) // 2, y0 + int(0.3 * h)))
    ground: Colour = (int(mid[0]), int(mid[1]), int(mid[2]))  # type: ignore[index]
    ink = readable_on(ground, colours)
    edge = colours.ink if luminance(ink) > 0.5 else colours.pale
    if layout == 0:
        motif(rng, image, (x0, y0 + int(0.5 * h), x1, y0 + int(0.92 * h)), colours)
        name_box = (x0 + int(0.05 * w), y0 + int(0.12 * h), x1 - int(0.05 * w), y0 + int(0.42 * h))
        fitted_text(image, name_box, words[0], ink, outline=edge)
        fitted_text(image, (x0 + w // 5, y0 + int(0.43 * h), x1 - w // 5, y0 + int(0.52 * h)), words[1], ink)
    elif layout == 1:
        pen.ellipse(
            (x0 + 0.06 * w, y0 + 0.2 * h, x1 - 0.06 * w, y0 + 0.62 * h),
            fill=colours.pale,
            outline=colours.accent,
            width=max(2, w // 40),
        )
        dark = colours.second if luminance(colours.second) < 0.6 else colours.ink
        fitted_text(image, (x0 + w // 7, y0 + int(0.28 * h), x1 - w // 7, y0 + int(0.54 * h)), words[0], dark)
        motif(rng, image, (x0 + w // 8, y0 + int(0.62 * h), x1 - w // 8, y1 - int(0.06 * h)), colours)
    elif layout == 2:
        fitted_text(
            image,
            (x0 + int(0.1 * w), y0 + int(0.06 * h), x0 + int(0.62 * w), y1 - int(0.06 * h)),
            words[0],
            ink,
            outline=edge,
            angle_deg=90,
        )
        motif(rng, image, (x0 + int(0.6 * w), y0 + int(0.1 * h), x1, y0 + int(0.55 * h)), colours)
        fitted_text(
            image, (x0 + int(0.65 * w), y0 + int(0.6 * h), x1 - w // 20, y1 - h // 10), words[1], ink, angle_deg=90
        )
    else:
        top = y0 + int(rng.uniform(0.3, 0.5) * h)
        motif(rng, image, (x0, y0 + int(0.02 * h), x1, top), colours)
        pen.rectangle((x0, top, x1, top + int(0.26 * h)), fill=colours.accent)
        pen.line((x0, top, x1, top), fill=colours.pale, width=max(2, h // 60))
        dark = (255, 255, 255) if luminance(colours.accent) < 0.5 else colours.ink
        fitted_text(image, (x0 + w // 14, top + int(0.04 * h), x1 - w // 14, top + int(0.22 * h)), words[0], dark)
        fitted_text(image, (x0 + w // 6, top + int(0.3 * h), x1 - w // 6, top + int(0.4 * h)), words[1], ink)


def _back(rng: np.random.Generator, image: Image.Image, box: tuple[int, int, int, int], colours: Palette) -> None:
    """Draw small print, a table, a bar code and a recycling ring into ``box``."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    mid = image.getpixel(((x0 + x1) // 2, y0 + h // 5))
    ink = readable_on((int(mid[0]), int(mid[1]), int(mid[2])), colours)  # type: ignore[index]
    line_px = max(5, h // 45)
    left, right = x0 + w // 12, x1 - w // 12
    text_block(rng, image, (left, y0 + h // 16, right, y0 + int(0.3 * h)), ink, line_px)
    nutrition_table(rng, image, (left, y0 + int(0.34 * h), right, y0 + int(0.62 * h)), colours.ink, colours.pale)
    barcode(rng, image, (left, y0 + int(0.68 * h), left + int(0.5 * w), y0 + int(0.9 * h)))
    loop_icon(image, (right - w // 8, y0 + int(0.8 * h)), max(5, min(w, h) // 11), ink)


def _wrap(rng: np.random.Generator, size_wh: tuple[int, int], *, tall: bool) -> Image.Image:
    w, h = size_wh
    colours = palette(rng)
    image = Image.fromarray(background(rng, size_wh, colours))
    words = (brand_word(rng), product_word(rng, "drink"))
    layout = int(rng.choice([0, 1, 2, 3], p=[0.3, 0.2, 0.35, 0.15] if tall else [0.25, 0.25, 0.05, 0.45]))
    for start in (0.0, 0.5):
        _front(rng, image, (int((start + 0.01) * w), 0, int((start + 0.32) * w), h), colours, words, layout)
    _back(rng, image, (int(0.34 * w), 0, int(0.49 * w), h), colours)
    _back(rng, image, (int(0.84 * w), 0, int(0.99 * w), h), colours)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        pen.rectangle((0, 0, w, int(0.035 * h)), fill=colours.accent)
        pen.rectangle((0, h - int(0.035 * h), w, h), fill=colours.accent)
    return image


def _four_panels(rng: np.random.Generator, size_wh: tuple[int, int], family: str) -> Image.Image:
    w, h = size_wh
    colours = palette(rng)
    image = Image.fromarray(background(rng, size_wh, colours))
    words = (brand_word(rng), product_word(rng, family))
    layout = int(rng.integers(4))
    for panel in range(4):
        box = (panel * w // 4, 0, (panel + 1) * w // 4, h)
        if panel % 2 == 0:
            _front(rng, image, box, colours, words, layout)
        elif panel == 1:
            _back(rng, image, box, colours)
        else:
            _front(rng, image, (box[0], 0, box[2], h // 2), colours, words, 0)
            text_block(
                rng,
                image,
                (box[0] + w // 40, int(0.55 * h), box[2] - w // 40, int(0.9 * h)),
                colours.ink,
                max(5, h // 40),
            )
    return image


def kraft_board(rng: np.random.Generator, size_wh: tuple[int, int], *, white: bool = False) -> NDArray[np.float32]:
    """Return (h, w, 3) RGB 0..255 of unprinted corrugated board, brown or bleached ``white``."""
    w, h = size_wh
    red = rng.uniform(205, 232) if white else rng.uniform(160, 200)
    ratio = (
        (rng.uniform(0.96, 0.99), rng.uniform(0.9, 0.96))
        if white
        else (rng.uniform(0.77, 0.83), rng.uniform(0.55, 0.66))
    )
    tone = np.array([red, red * ratio[0], red * ratio[1]], np.float32)
    fibre = rng.normal(0, 3 if white else 7, (h, w // 6 + 1)).repeat(6, axis=1)[:, :w]
    flutes = 3.5 * np.sin(np.arange(w) * 2 * np.pi / rng.uniform(7, 11))[None, :]
    coarse = Image.fromarray(rng.normal(0, 7, (9, 9)).astype(np.float32))
    cloud = np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC))
    return np.clip(tone + (fibre + flutes + cloud)[..., None], 0, 255).astype(np.float32)


def flexo_ink(rng: np.random.Generator, size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Return (h, w, 3) factors 0..1 by which a one-colour shipping print darkens the board below."""
    w, h = size_wh
    inks = [(38, 34, 32), (38, 34, 32), (30, 60, 130), (160, 30, 30), (25, 95, 60), (210, 90, 20)]
    ink = inks[int(rng.integers(len(inks)))]
    image = Image.new("RGB", size_wh, (255, 255, 255))
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.2:
        y = int(rng.uniform(0.05, 0.8) * h)
        pen.rectangle((0, y, w, y + int(rng.uniform(0.08, 0.25) * h)), fill=ink)
    if rng.random() < 0.7:
        top, left = rng.uniform(0.08, 0.35), rng.uniform(0.06, 0.4)
        right = rng.uniform(left + 0.35, 0.95)
        box = (int(left * w), int(top * h), int(right * w), int((top + rng.uniform(0.15, 0.35)) * h))
        fitted_text(image, box, brand_word(rng), ink)
    unit = int(0.17 * min(w, h))
    x = int(rng.uniform(0.05, 0.25) * w)
    for name in rng.permutation(["arrows", "glass", "umbrella"])[: int(rng.integers(0, 4))]:
        handling_icon(image, (x, h - 2 * unit, x + unit, h - unit // 2), str(name), ink)
        x += int(1.5 * unit)
    if rng.random() < 0.6:
        loop_icon(image, (w - unit, h - unit), int(0.5 * unit), ink)
    if rng.random() < 0.4:
        fitted_text(image, (w // 2, int(0.62 * h), int(0.95 * w), int(0.74 * h)), product_word(rng, "dry"), ink)
    if rng.random() < 0.4:
        text_block(rng, image, (w // 14, int(0.5 * h), w // 2, int(0.68 * h)), ink, max(5, h // 28))
    pattern = np.array(image, np.float32) / 255.0
    worn = np.clip(rng.uniform(0.75, 0.95) - 0.15 * rng.random((h, w, 1)), 0, 1)
    return (1 - worn * (1 - pattern)).astype(np.float32)


def _photo(rng: np.random.Generator, size_wh: tuple[int, int], *, grey: bool) -> Image.Image:
    cells = rng.uniform(30, 230, (int(rng.integers(3, 7)), int(rng.integers(3, 7)), 3))
    hold = 1.0 if grey else 0.65
    cells += hold * (cells.mean(axis=2, keepdims=True) - cells)
    picture = Image.fromarray(cells.astype(np.uint8)).resize(size_wh, Image.Resampling.BICUBIC)
    if not grey:
        motif(
            rng,
            picture,
            (size_wh[0] // 10, size_wh[1] // 10, int(0.9 * size_wh[0]), int(0.9 * size_wh[1])),
            palette(rng),
        )
    return picture


def _newspaper_page(rng: np.random.Generator, size_wh: tuple[int, int]) -> Image.Image:
    w, h = size_wh
    grey = rng.uniform(196, 222)
    image = Image.new("RGB", size_wh, (int(grey), int(grey * 0.975), int(grey * rng.uniform(0.86, 0.94))))
    ink = (42, 42, 44)
    margin = w // 26
    y = margin
    if rng.random() < 0.6:
        fitted_text(
            image,
            (margin, y, w - margin, y + h // 10),
            f"{brand_word(rng)} {rng.choice(['Post', 'Herald', 'Courier', 'Daily'])}",
            ink,
        )
        y += h // 10 + margin // 2
        ImageDraw.Draw(image).line((margin, y, w - margin, y), fill=ink, width=3)
        y += margin // 2
    headline = " ".join(brand_word(rng).lower() for _ in range(int(rng.integers(2, 4))))
    fitted_text(image, (margin, y, w - margin, y + h // 14), headline.capitalize(), ink)
    y += h // 14 + margin // 2
    columns = int(rng.integers(3, 6))
    pitch = (w - 2 * margin) / columns
    line_px = max(4, h // 110)
    for column in range(columns):
        x = int(margin + column * pitch)
        text_block(rng, image, (x, y, int(x + pitch - margin // 2), h - margin), ink, line_px, 0.75)
    for _ in range(int(rng.integers(1, 4))):
        span = int(rng.integers(1, max(2, columns - 1)))
        size = (int(span * pitch - margin // 2), int(h * rng.uniform(0.14, 0.3)))
        x = int(margin + int(rng.integers(0, columns - span + 1)) * pitch)
        image.paste(_photo(rng, size, grey=bool(rng.random() < 0.6)), (x, int(rng.uniform(y, h - size[1] - margin))))
    return image


def _flyer_page(rng: np.random.Generator, size_wh: tuple[int, int]) -> Image.Image:
    w, h = size_wh
    colours = palette(rng)
    image = Image.fromarray(background(rng, size_wh, colours))
    pen = ImageDraw.Draw(image)
    banner = int(rng.uniform(0.12, 0.24) * h)
    pen.rectangle((0, 0, w, banner), fill=colours.second)
    fitted_text(
        image, (w // 20, h // 60, w - w // 20, banner - h // 60), brand_word(rng), readable_on(colours.second, colours)
    )
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    cell_w, cell_h = w // columns, (h - banner) // rows
    for index in range(columns * rows):
        x, y = index % columns * cell_w, banner + index // columns * cell_h
        gap = w // 50
        pen.rectangle((x + gap, y + gap, x + cell_w - gap, y + cell_h - gap), fill=colours.pale)
        picture = _photo(rng, (max(8, cell_w - 4 * gap), max(8, int(0.5 * cell_h))), grey=False)
        image.paste(picture, (x + 2 * gap, y + 2 * gap))
        text_block(
            rng,
            image,
            (x + 2 * gap, y + int(0.66 * cell_h), x + cell_w // 2, y + cell_h - 2 * gap),
            colours.ink,
            max(5, h // 70),
        )
        price = f"{rng.integers(1, 30)}.{rng.integers(10, 99)}"
        fitted_text(
            image,
            (x + cell_w // 2 + gap, y + int(0.68 * cell_h), x + cell_w - 2 * gap, y + cell_h - 2 * gap),
            price,
            (205, 25, 30),
        )
    return image


def _document_page(rng: np.random.Generator, size_wh: tuple[int, int]) -> Image.Image:
    w, h = size_wh
    white = int(rng.uniform(232, 250))
    image = Image.new("RGB", size_wh, (white, white, int(white * rng.uniform(0.95, 1.0))))
    margin = w // 9
    ink = (35, 35, 45)
    if rng.random() < 0.6:
        fitted_text(
            image, (margin, margin // 2, margin + w // 3, margin + h // 30), brand_word(rng), palette(rng).second
        )
    y = int(h * rng.uniform(0.12, 0.25))
    while y < h * rng.uniform(0.7, 0.95):
        height = int(h * rng.uniform(0.05, 0.18))
        text_block(rng, image, (margin, y, w - margin, min(y + height, h - margin // 2)), ink, max(6, h // 55), 0.7)
        y += height + h // 40
    if rng.random() < 0.4:
        nutrition_table(rng, image, (margin, int(0.55 * h), w - margin, int(0.8 * h)), ink, (240, 240, 240))
    return image


def _grocery_sticker(rng: np.random.Generator, size_wh: tuple[int, int]) -> Image.Image:
    w, h = size_wh
    colours = palette(rng)
    image = Image.new("RGB", size_wh, (248, 248, 245))
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        image.paste(Image.fromarray(background(rng, (w, max(8, int(0.45 * h))), colours)), (0, 0))
        _front(rng, image, (0, 0, w // 2, int(0.8 * h)), colours, (brand_word(rng), product_word(rng, "fresh")), 0)
    else:
        pen.rectangle((0, 0, w, h // 5), fill=colours.second)
        fitted_text(
            image, (w // 20, h // 50, w - w // 20, h // 5), brand_word(rng), readable_on(colours.second, colours)
        )
        fitted_text(
            image, (w // 20, int(0.25 * h), int(0.6 * w), int(0.45 * h)), product_word(rng, "fresh"), colours.ink
        )
    text_block(rng, image, (w // 20, int(0.5 * h), int(0.45 * w), int(0.95 * h)), (30, 30, 30), max(5, h // 18))
    barcode(rng, image, (int(0.5 * w), int(0.55 * h), int(0.96 * w), int(0.94 * h)))
    fitted_text(
        image,
        (int(0.62 * w), int(0.25 * h), int(0.95 * w), int(0.5 * h)),
        f"{rng.integers(1, 9)}.{rng.integers(10, 99)}",
        (20, 20, 20),
    )
    return image
