"""Named drawings: rendered at one size with their opacity, split by what they show."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from model.training.data import drawings as drawings_module
from model.training.data.clip import Split
from model.training.data.drawings import Collection, Drawing, drawings, rendered
from model.training.data.missing import MissingPackage
from model.training.data.named_pictures import picture_split
from model.training.data.picture_set import PictureRecord, PictureSet
from model.training.data.pictures_command import build_pictures
from model.training.data.shards import commit_part, write_part

pytest.importorskip("resvg_py")

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}">'
    '<rect width="{w}" height="{h}" fill="{fill}"/></svg>'
)


def drawing(name: str, fill: str = "#ff0000", width: int = 20, height: int = 20, style: str = "flat") -> Drawing:
    return Drawing(name, style, "drawn-here", "CC0-1.0", SVG.format(w=width, h=height, fill=fill).encode())


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_pictures_come_back_with_name_colour_and_opacity(tmp_path: Path) -> None:
    build_pictures(tmp_path, [drawing(f"red-{n}", width=20, height=10) for n in range(40)], 32, progress=False)
    pictures = PictureSet(tmp_path)
    assert {picture.name for picture in pictures} == {
        f"red-{n}" for n in range(40) if picture_split(f"red-{n}") == "train"
    }
    rgba = pictures[0].rgba
    assert rgba.shape == (32, 32, 4)
    assert rgba[16, 16].tolist() == [255, 0, 0, 255]
    assert rgba[2, 16, 3] == 0
    assert rgba[29, 16, 3] == 0


def test_the_splits_share_no_subject(tmp_path: Path) -> None:
    names = [f"thing-{n}" for n in range(60)]
    build_pictures(
        tmp_path, [drawing(name, style=style) for style in ("flat", "modern") for name in names], 8, progress=False
    )
    train, held_out = ({r.name for r in PictureSet(tmp_path, split=split).records} for split in Split)
    assert held_out
    assert not train & held_out
    assert train | held_out == set(names)


def test_a_picture_in_the_wrong_split_is_refused(tmp_path: Path) -> None:
    name = next(f"thing-{n}" for n in range(100) if picture_split(f"thing-{n}") is Split.EVAL)
    record = PictureRecord(key="k", name=name, style="flat", source="s", licence="CC0-1.0", split=Split.TRAIN)
    commit_part(tmp_path, "train-00000", write_part(tmp_path, "train-00000", [(record, ".png", b"")]))
    with pytest.raises(ValueError, match="does not belong to train"):
        PictureSet(tmp_path)
    assert msgspec.structs.replace(record, split=Split.EVAL).split is Split.EVAL


def test_what_was_rendered_stays_and_what_is_missing_is_made(tmp_path: Path) -> None:
    pictures = [drawing(f"thing-{n}") for n in range(50)]
    build_pictures(tmp_path, pictures, 8, progress=False)
    before = contents(tmp_path)
    (tmp_path / "train-00000.jsonl").unlink()
    build_pictures(tmp_path, pictures, 8, progress=False)
    assert contents(tmp_path) == before


def test_two_workers_render_what_one_renders(tmp_path: Path) -> None:
    pictures = [drawing(f"thing-{n}") for n in range(30)]
    build_pictures(tmp_path / "one", pictures, 8, progress=False)
    build_pictures(tmp_path / "two", pictures, 8, workers=2, progress=False)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("svg", [b"no svg", SVG.format(w=9, h=9, fill="none").encode(), b"\xff\xfe\x00"])
def test_what_cannot_be_drawn_or_shows_nothing_is_left_out(svg: bytes, tmp_path: Path) -> None:
    assert rendered(svg, 16) is None
    bad = Drawing("bad", "flat", "drawn-here", "CC0-1.0", svg)
    build_pictures(tmp_path, [bad, drawing("thing-1"), drawing("thing-2")], 16, progress=False)
    assert "bad" not in {picture.name for split in Split for picture in PictureSet(tmp_path, split=split)}


def test_cliparts_are_named_by_their_titles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "animals").mkdir()
    title = b"<svg><metadata><dc:title>A Big, Brown Bear</dc:title></metadata></svg>"
    (tmp_path / "animals" / "x_john_01.svg").write_bytes(title)
    (tmp_path / "animals" / "untitled.svg").write_bytes(b"<svg/>")
    monkeypatch.setattr(drawings_module, "CLIPART_DIR", tmp_path)
    (found,) = drawings(Collection.CLIPART, tmp_path)
    assert (found.name, found.style) == ("a-big-brown-bear", "animals")


def test_missing_packages_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings_module, "CLIPART_DIR", tmp_path / "nowhere")
    with pytest.raises(MissingPackage, match="apt-get install openclipart-svg"):
        list(drawings(Collection.CLIPART, tmp_path))
    with pytest.raises(MissingPackage, match="npm pack fluentui-emoji"):
        list(drawings(Collection.EMOJI, tmp_path))
    with pytest.raises(FileNotFoundError, match=r"model\.training\.data\.build"):
        PictureSet(tmp_path / "nowhere")


def test_pictures_of_any_shape_become_square() -> None:
    for width, height in ((10, 30), (30, 10), (7, 8), (300, 301)):
        png = rendered(drawing("x", width=width, height=height).svg, 64)
        assert png is not None
        assert np.frombuffer(png[16:24], ">u4").tolist() == [64, 64]
