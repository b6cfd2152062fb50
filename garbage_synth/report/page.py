"""The HTML page: one file with its pictures inside, readable without network or scripts."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from garbage_synth.report.statistics import SplitStatistics

__all__ = ["GENERATOR", "DatasetView", "Page", "PictureCell", "jpeg_uri", "render"]

GENERATOR = "garbage-synth report"
"""Stands in the page's head, so that an old report is known as one of ours."""


@dataclass(frozen=True, slots=True)
class PictureCell:
    """One picture, once plain and once with labels, as data URIs. size_px: (width, height) of both."""

    caption: str
    plain_uri: str
    labelled_uri: str
    size_px: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DatasetView:
    """One dataset: the numbers of its splits and, where it is not compared with others, its pictures."""

    name: str
    splits: Sequence[tuple[str, SplitStatistics]]
    cells: Sequence[PictureCell] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page shows. classes: names with RGB colours; rows: the same picture in each dataset."""

    title: str
    classes: Sequence[tuple[str, tuple[int, int, int]]]
    datasets: Sequence[DatasetView]
    rows: Sequence[Sequence[PictureCell]] = ()


def render(page: Page) -> str:
    """The page as HTML text; every name from the data is escaped."""
    environment = Environment(
        loader=PackageLoader("garbage_synth.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(page=page, generator=GENERATOR) + "\n"


def jpeg_uri(data: bytes) -> str:
    """JPEG bytes as a data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
