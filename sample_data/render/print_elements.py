"""Building blocks of printed packaging: palettes, words, marks, text blocks and backgrounds.

Everything is drawn with Pillow and numpy from a random generator; no name, mark or picture is
taken from a real product.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

_ONSETS = (
    "Brov", "Vel", "Zum", "Morv", "Quil", "Tav", "Ordu", "Kesp", "Plov", "Yav", "Drun", "Hulv",
    "Fenn", "Wob", "Jarv", "Sell", "Lum", "Gru", "Othi", "Pirr", "Raum", "Nolv", "Ebb", "Thal",
)  # fmt: skip
_ENDINGS = (
    "ina", "ex", "ambo", "iska", "orro", "wick", "zel", "eppa", "ily", "umi", "ast", "ondo",
    "ira", "o", "ette", "urn", "ax", "ova", "inka", "eo",
)  # fmt: skip
_HUES = (0.0, 0.0, 0.03, 0.08, 0.13, 0.15, 0.24, 0.33, 0.38, 0.48, 0.55, 0.6, 0.6, 0.64, 0.75, 0.92)
_PRODUCTS = {
    "drink": ("orange", "sparkling", "still water", "iced tea", "tonic", "berry", "cola nut",
              "lemon lime", "peach", "ginger", "light", "zero", "energy", "apple", "malt"),
    "carton": ("whole milk", "skimmed", "oat drink", "multifruit", "tomato", "apple juice",
               "orange", "soy drink", "cream", "kefir", "cocoa", "almond", "rice drink"),
    "dry": ("corn flakes", "crackers", "tea 40 bags", "muesli", "biscuits", "pasta", "rice",
            "tissues", "light bulbs", "oat rings", "soap", "vitamins", "cocoa"),
    "fresh": ("salad", "strawberries", "minced", "tomatoes", "salmon", "yoghurt", "grapes",
              "hummus", "mushrooms", "chicken", "ham", "olives"),
}  # fmt: skip


@dataclass(frozen=True)
class Palette:
    """Five print colours (RGB, 0..255) that go together."""

    base: Colour
    second: Colour
    accent: Colour
    pale: Colour
    ink: Colour


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)


def _ink_tone(hue: float, saturation: float, value: float) -> Colour:
    """Return a print colour; greens and magentas are toned down the way process inks are."""
    green = math.exp(-(((hue % 1.0 - 0.33) / 0.11) ** 2))
    magenta = math.exp(-(((hue % 1.0 - 0.82) / 0.08) ** 2))
    return _hsv(hue, saturation * (1 - 0.2 * green - 0.15 * magenta), value * (1 - 0.38 * green - 0.2 * magenta))


def palette(rng: np.random.Generator) -> Palette:
    """Return a random palette: vivid, dark, pastel, mostly white or metal grey."""
    hue = float(rng.choice(_HUES) + rng.normal(0, 0.025))
    other = hue + float(rng.choice([0.06, 0.12, 0.33, 0.5, 0.58, -0.08]))
    mood = rng.choice(["vivid", "dark", "pastel", "white", "metal"], p=[0.42, 0.15, 0.14, 0.21, 0.08])
    strong = _ink_tone(hue, rng.uniform(0.65, 0.92), rng.uniform(0.5, 0.92))
    second = _ink_tone(other, rng.uniform(0.55, 0.9), rng.uniform(0.45, 0.92))
    accent = _ink_tone(rng.choice([0.13, 0.0, 0.3, hue + 0.45]), rng.uniform(0.7, 0.95), 0.93)
    pale = _hsv(hue, rng.uniform(0.0, 0.12), rng.uniform(0.9, 0.98))
    ink = _hsv(hue + 0.05, rng.uniform(0.3, 0.9), rng.uniform(0.08, 0.25))
    if mood == "dark":
        strong, second = _hsv(hue, 0.8, rng.uniform(0.06, 0.28)), strong
    elif mood == "pastel":
        strong, second = _hsv(hue, rng.uniform(0.2, 0.42), 0.93), _ink_tone(hue, 0.6, 0.7)
    elif mood == "white":
        strong, second = _hsv(hue, rng.uniform(0.0, 0.06), rng.uniform(0.9, 0.97)), strong
    elif mood == "metal":
        strong = _hsv(0.6, 0.04, rng.uniform(0.6, 0.8))
    return Palette(strong, second, accent, pale, ink)


def brand_word(rng: np.random.Generator) -> str:
    """Return an invented brand name of two or three syllables, in mixed or upper case."""
    word = str(rng.choice(_ONSETS)) + str(rng.choice(_ENDINGS))
    return word.upper() if rng.random() < 0.5 else word


def product_word(rng: np.random.Generator, family: str) -> str:
    """Return a generic product word of a family: "drink", "carton", "dry" or "fresh"."""
    return str(rng.choice(_PRODUCTS[family]))


def luminance(colour: Colour) -> float:
    """Return the perceived brightness of a colour, 0..1."""
    return (0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]) / 255.0


def readable_on(ground: Colour, colours: Palette) -> Colour:
    """Return the palette colour that stands out best against ``ground``."""
    options = (colours.pale, colours.ink, colours.accent, (255, 255, 255))
    return max(options, key=lambda option: abs(luminance(option) - luminance(ground)))


def fitted_text(
    image: Image.Image,
    box: Box,
    text: str,
    fill: Colour,
    *,
    outline: Colour | None = None,
    angle_deg: int = 0,
) -> None:
    """Draw ``text`` as large as fits centred in ``box`` (px), turned by a multiple of 90 degrees."""
    width, height = box[2] - box[0], box[3] - box[1]
    if width < 4 or height < 4:
        return
    run, rise = (height, width) if angle_deg % 180 else (width, height)
    probe = ImageFont.load_default(40).getbbox(text)
    size = 40 * min(run / max(probe[2] - probe[0], 1), rise / max(probe[3] - probe[1], 1)) * 0.93
    font = ImageFont.load_default(max(size, 5))
    stroke = max(1, int(size / 18))
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    mask = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    pen = ImageDraw.Draw(mask)
    at = (1 - left, 1 - top)
    layers = [(fill, 0 if outline else stroke)]
    if outline:
        layers = [(outline, stroke + 1), (fill, 0)]
    for colour, width_px in layers:
        pen.rectangle((0, 0, *mask.size), fill=0)
        pen.text(at, text, fill=255, font=font, stroke_width=width_px)
        turned = mask.rotate(angle_deg, expand=True) if angle_deg else mask
        x = (box[0] + box[2] - turned.width) // 2
        y = (box[1] + box[3] - turned.height) // 2
        image.paste(colour, (x, y), turned)


def text_block(
    rng: np.random.Generator, image: Image.Image, box: Box, ink: Colour, line_px: int, strength: float = 0.8
) -> None:
    """Fill ``box`` with lines of unreadable running text, ``line_px`` from line to line."""
    width, height = box[2] - box[0], box[3] - box[1]
    rows = height // line_px
    if rows < 1 or width < 8:
        return
    glyph = max(2, line_px // 2)
    letters = rng.random((rows, width // glyph + 1)) > 0.17
    coverage = np.repeat(letters, glyph, axis=1)[:, :width] * rng.uniform(0.35, 1.0, (rows, width))
    ends = np.where(rng.random(rows) < 0.14, rng.uniform(0.3, 0.9, rows), rng.uniform(0.96, 1.0, rows))
    coverage *= np.arange(width)[None, :] < (ends * width)[:, None]
    page = np.zeros((height, width), np.float32)
    for offset in range(max(1, round(line_px * 0.55))):
        page[offset : rows * line_px : line_px] = coverage
    mask = Image.fromarray((255 * strength * page).astype(np.uint8))
    image.paste(ink, box[:2], mask)


def barcode(rng: np.random.Generator, image: Image.Image, box: Box) -> None:
    """Draw a bar code on a white patch filling ``box``."""
    pen = ImageDraw.Draw(image)
    pen.rectangle(box, fill=(250, 250, 248))
    margin = max(2, (box[2] - box[0]) // 12)
    x = box[0] + margin
    unit = max(1, (box[2] - box[0]) // 60)
    while x < box[2] - margin:
        bar = unit * int(rng.integers(1, 4))
        pen.rectangle((x, box[1] + margin, x + bar - 1, box[3] - margin), fill=(15, 15, 18))
        x += bar + unit * int(rng.integers(1, 4))


def nutrition_table(rng: np.random.Generator, image: Image.Image, box: Box, ink: Colour, paper: Colour) -> None:
    """Draw a framed table of short words and numbers filling ``box``."""
    pen = ImageDraw.Draw(image)
    pen.rectangle(box, fill=paper, outline=ink, width=2)
    rows = int(rng.integers(5, 9))
    step = (box[3] - box[1]) / rows
    for row in range(rows):
        y = int(box[1] + row * step)
        pen.line((box[0], y, box[2], y), fill=ink, width=1)
        split = box[0] + int((box[2] - box[0]) * 0.6)
        line_px = max(4, int(step * 0.7))
        word = int((split - box[0]) * rng.uniform(0.4, 0.9))
        text_block(rng, image, (box[0] + 5, y + 3, box[0] + 5 + word, y + 3 + line_px), ink, line_px)
        text_block(rng, image, (split, y + 3, box[2] - 6, y + 3 + line_px), ink, line_px)


def loop_icon(image: Image.Image, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    """Draw a ring of three chasing arrows around ``centre`` (px)."""
    pen = ImageDraw.Draw(image)
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    for start in (0, 120, 240):
        pen.arc(box, start + 15, start + 95, fill=colour, width=max(2, radius // 4))
        angle = math.radians(start + 98)
        tip = (centre[0] + radius * 0.87 * math.cos(angle), centre[1] + radius * 0.87 * math.sin(angle))
        pen.regular_polygon((tip[0], tip[1], radius * 0.34), 3, rotation=-(start + 98), fill=colour)


def handling_icon(image: Image.Image, box: Box, name: str, colour: Colour) -> None:
    """Draw a shipping mark in ``box``: "arrows" (this way up), "glass" or "umbrella"."""
    pen = ImageDraw.Draw(image)
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    line = max(2, w // 14)
    if name == "arrows":
        for left in (0.08, 0.56):
            a, b = x0 + left * w, x0 + (left + 0.36) * w
            pen.polygon([(a, y0 + 0.4 * h), ((a + b) / 2, y0), (b, y0 + 0.4 * h)], fill=colour)
            pen.rectangle((a + 0.12 * w, y0 + 0.4 * h, b - 0.12 * w, y0 + 0.85 * h), fill=colour)
        pen.rectangle((x0, y1 - line, x1, y1), fill=colour)
    elif name == "glass":
        pen.polygon(
            [(x0 + 0.2 * w, y0), (x1 - 0.2 * w, y0), (x1 - 0.3 * w, y0 + 0.5 * h), (x0 + 0.3 * w, y0 + 0.5 * h)],
            fill=colour,
        )
        pen.rectangle((x0 + 0.46 * w, y0 + 0.5 * h, x0 + 0.54 * w, y0 + 0.9 * h), fill=colour)
        pen.rectangle((x0 + 0.25 * w, y0 + 0.9 * h, x1 - 0.25 * w, y1), fill=colour)
    else:
        pen.pieslice((x0, y0, x1, y0 + h), 180, 360, fill=colour)
        pen.rectangle((x0 + 0.47 * w, y0 + 0.45 * h, x0 + 0.53 * w, y1), fill=colour)


def background(rng: np.random.Generator, size_wh: tuple[int, int], colours: Palette) -> NDArray[np.uint8]:
    """Return an (h, w, 3) backdrop of two palette colours: flat, gradient, waves, stripes, rays or dots."""
    width, height = size_wh
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y /= height
    x /= height
    style = rng.choice(["flat", "gradient", "wave", "diagonal", "rays", "dots", "band"])
    level = float(rng.uniform(0.35, 0.75))
    if style == "flat":
        mix = np.zeros_like(x)
    elif style == "gradient":
        mix = np.clip((y - level) * rng.uniform(1.0, 4.0) + 0.5, 0, 1)
    elif style == "wave":
        crest = level + 0.08 * np.sin(x * rng.uniform(3, 9) + rng.uniform(0, 6))
        mix = 0.85 * (y > crest) + 0.15 * (y > crest + 0.09)
    elif style == "diagonal":
        mix = ((x + y * rng.uniform(0.3, 1.5)) * rng.uniform(3, 11) % 1.0 < level).astype(np.float32)
    elif style == "rays":
        angle = np.arctan2(y - level, x % 1.2 - 0.6)
        mix = (angle * rng.integers(6, 16) / np.pi % 1.0 < 0.5) * rng.uniform(0.15, 0.8)
    elif style == "dots":
        pitch = rng.uniform(0.08, 0.2)
        row = np.floor(y / pitch)
        mix = np.hypot((x / pitch + 0.5 * (row % 2)) % 1 - 0.5, y / pitch % 1 - 0.5) < level * 0.5
    else:
        mix = (np.abs(y - level) < rng.uniform(0.08, 0.22)).astype(np.float32)
    first = np.array(colours.base, np.float32)
    change = np.array(colours.second, np.float32) - first
    return (first + np.asarray(mix, np.float32)[..., None] * change).astype(np.uint8)


def motif(rng: np.random.Generator, image: Image.Image, box: Box, colours: Palette) -> None:
    """Draw a picture in ``box``: round fruit, leaves, drops, bubbles, a sun over hills or blobs."""
    pen = ImageDraw.Draw(image)
    w, h = box[2] - box[0], box[3] - box[1]
    style = rng.choice(["fruit", "leaf", "drop", "bubbles", "hills", "star"])
    flesh = _hsv(rng.choice([0.0, 0.04, 0.09, 0.14, 0.25, 0.78, 0.95]), 0.85, rng.uniform(0.7, 0.98))
    green = _hsv(rng.uniform(0.25, 0.37), 0.65, rng.uniform(0.3, 0.58))

    def disc(cx: float, cy: float, r: float, colour: Colour) -> None:
        pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=colour)

    def petal(cx: float, cy: float, length: float, angle: float, colour: Colour) -> None:
        t = np.linspace(0, 1, 12)
        wide = 0.28 * np.sin(np.pi * t)
        along, across = np.r_[t, t[::-1]] * length, np.r_[wide, -wide[::-1]] * length
        xs = cx + along * math.cos(angle) - across * math.sin(angle)
        ys = cy + along * math.sin(angle) + across * math.cos(angle)
        pen.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=colour)

    if style in ("fruit", "bubbles"):
        for _ in range(int(rng.integers(3, 8)) * (1 if style == "fruit" else 3)):
            r = min(w, h) * (rng.uniform(0.16, 0.3) if style == "fruit" else rng.uniform(0.02, 0.1))
            cx, cy = box[0] + rng.uniform(0.15, 0.85) * w, box[1] + rng.uniform(0.15, 0.85) * h
            if style == "bubbles":
                pen.ellipse((cx - r, cy - r, cx + r, cy + r), outline=colours.pale, width=max(2, int(r / 5)))
                continue
            disc(cx, cy, r, tuple(int(0.75 * c) for c in flesh))
            disc(cx - 0.06 * r, cy - 0.06 * r, 0.9 * r, flesh)
            disc(cx - 0.35 * r, cy - 0.35 * r, 0.2 * r, tuple(int(128 + 0.5 * c) for c in flesh))
            petal(cx, cy - 0.9 * r, 0.9 * r, rng.uniform(-2.5, -0.5), green)
    elif style == "leaf":
        for turn in np.linspace(-2.8, -0.3, int(rng.integers(3, 8))):
            petal((box[0] + box[2]) / 2, box[3] - 0.05 * h, 0.9 * min(w, h), float(turn), green)
    elif style == "drop":
        for _ in range(int(rng.integers(2, 6))):
            r = min(w, h) * rng.uniform(0.08, 0.2)
            cx, cy = box[0] + rng.uniform(0.2, 0.8) * w, box[1] + rng.uniform(0.4, 0.8) * h
            disc(cx, cy, r, colours.accent)
            pen.polygon(
                [(cx - 0.9 * r, cy - 0.4 * r), (cx + 0.9 * r, cy - 0.4 * r), (cx, cy - 2.2 * r)], colours.accent
            )
    elif style == "hills":
        disc((box[0] + box[2]) / 2, box[1] + 0.45 * h, 0.3 * min(w, h), colours.accent)
        pen.ellipse((box[0] - 0.2 * w, box[1] + 0.55 * h, box[0] + 0.7 * w, box[3] + 0.4 * h), fill=green)
        pen.chord((box[0] + 0.3 * w, box[1] + 0.5 * h, box[2], box[3] + 0.5 * h), 180, 360, fill=flesh)
    else:
        for turn in np.linspace(0, 2 * np.pi, int(rng.integers(5, 13)), endpoint=False):
            petal((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 0.48 * min(w, h), float(turn), colours.accent)
