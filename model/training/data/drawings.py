"""Where named drawings come from: packages of SVG files, whose names say what they show.

A `Drawing` is the SVG's text with its name; rendering it is `rendered(svg, side_px)`, a PNG with opacity.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np

from model.training.data.missing import MissingPackage
from model.training.data.npm import npm_package, read_members

CLIPART_DIR = Path("/usr/share/openclipart/svg")

_TITLE = re.compile(rb"<dc:title>([^<]+)</dc:title>")  # the files' Dublin Core description
_MAX_SVG_BYTES = 400_000  # some cliparts are traced photographs that take seconds to draw


class Collection(StrEnum):
    """The packages of drawings."""

    EMOJI = "emoji"
    CLIPART = "clipart"


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG. `name` is words joined by hyphens; `style` is how it is drawn, or where it was filed."""

    name: str
    style: str
    source: str
    licence: str
    svg: bytes


def drawings(collection: Collection, assets: Path) -> Iterator[Drawing]:
    """A collection's drawings, in an order that is always the same. Those without a title are left out."""
    return _emoji(assets) if collection is Collection.EMOJI else _clipart(CLIPART_DIR)


def _emoji(assets: Path) -> Iterator[Drawing]:
    package = npm_package(assets, "fluentui-emoji", "1.3.0")
    for style in ("flat", "modern"):
        for path, svg in read_members(package, f"icons/{style}/", ".svg").items():
            yield Drawing(path.removesuffix(".svg"), style, "fluentui-emoji", "MIT", svg)


def _clipart(directory: Path) -> Iterator[Drawing]:
    if not directory.is_dir():
        raise MissingPackage(f"{directory} is missing: apt-get install openclipart-svg")
    for path in sorted(directory.rglob("*.svg")):
        if path.stat().st_size <= _MAX_SVG_BYTES:
            svg = path.read_bytes()
            title = _TITLE.search(svg)
            name = "-".join(re.findall(r"[a-z0-9]+", title[1].decode("utf-8", "replace").lower())) if title else ""
            if name:
                yield Drawing(name, path.relative_to(directory).parts[0], "openclipart", "CC0-1.0", svg)


def rendered(svg: bytes, side_px: int) -> bytes | None:
    """A PNG [side, side, 4], the drawing in its middle; None for a file that cannot be drawn or shows nothing."""
    try:
        import resvg_py
    except ImportError as error:
        raise MissingPackage('drawings need resvg-py: pip install "omniweave-realtime[data]"') from error
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg.decode("utf-8", "replace"), skip_system_fonts=True, width=side_px, height=side_px
        )
    except ValueError:  # no size, or not an SVG
        return None
    bgra = cv2.imdecode(np.frombuffer(bytes(png), np.uint8), cv2.IMREAD_UNCHANGED)[:side_px, :side_px]
    if not bgra[..., 3].any():
        return None
    top, left = ((side_px - size) // 2 for size in bgra.shape[:2])
    square = np.zeros((side_px, side_px, 4), np.uint8)
    square[top : top + bgra.shape[0], left : left + bgra.shape[1]] = bgra
    return cv2.imencode(".png", square)[1].tobytes()
