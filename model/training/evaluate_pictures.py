"""How well pictures are tokenized and frames are seen, on material that no training saw; as tables and a grid.

    python -m model.training.evaluate_pictures --data data --image runs/image_tokenizer-nano/export \\
        --vision runs/vision_encoder-nano/export --out runs/pictures

Writes `pictures.md`, `figures.json` and `pictures.png` (originals above their reconstructions). Either half may be left
out. Judged are unseen subjects, unseen scenes, and shapes and colours by a network trained for that alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor

from model.parts import load_part, load_reader
from model.pixels import to_rgb
from model.presets import PRESETS
from model.tokenizers.image_vq import ImageVQ
from model.training.data.clip import Split
from model.training.data.compose import shown
from model.training.data.frames import NO_ANSWER, Frame, Question, familiar_pictures, frame, picture_frame
from model.training.data.picture_set import PictureSet
from model.training.data.scenes import scene
from model.training.shape_reader import ShapeReader, labels_of, shape_scenes, train_shape_reader
from model.training.stages.image_tokenizer import pixels_of, psnr_db, usage
from model.training.stages.vision_encoder import Seer, gather
from model.training.timing import median_ms

EVALUATION_SEED = 3  # of scenes and frames: 0 is for training, 1 for its held-out figures, 2 for the judge
GRID_COLUMNS = 16


@dataclass(frozen=True)
class Arguments:
    """Options of the command."""

    out: Path
    data: Path = Path("data")  # what the data engine wrote
    image: Path | None = None  # export of `image_tokenizer`, or a checkpoint
    vision: Path | None = None  # export of `vision_encoder`, or a checkpoint
    preset: str = "nano"
    pictures: int = 600  # of each kind
    frames: int = 3_000
    judge: Path | None = None  # the trained judge; trained and kept in `out` where it is not given


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures: its columns, and a row by name."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]

    def markdown(self) -> str:
        head = "| " + " | ".join((self.title, *self.columns)) + " |\n|" + "---|" * (len(self.columns) + 1)
        rows = ("| " + " | ".join((name, *(f"{value:.4g}" for value in row))) + " |" for name, row in self.rows.items())
        return "\n".join((head, *rows))

    def by_name(self) -> dict[str, dict[str, float]]:
        return {name: dict(zip(self.columns, row, strict=True)) for name, row in self.rows.items()}


def main(arguments: Arguments) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    config = PRESETS[arguments.preset]()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tables: list[Table] = []
    if arguments.image is not None:
        if config.image_vq is None:
            raise ValueError(f"the preset {arguments.preset!r} has no image tokenizer")
        tokenizer = ImageVQ(config.image_vq)
        load_part(tokenizer, arguments.image, "image_vq")
        tables += judge_tokenizer(tokenizer.eval(), arguments)
    if arguments.vision is not None:
        if config.vision is None:
            raise ValueError(f"the preset {arguments.preset!r} has no vision encoder")
        seer = Seer(config.vision)
        load_part(seer.encoder, arguments.vision, "vision")
        load_reader(seer.read, arguments.vision, "vision")
        tables += judge_encoder(seer.eval(), arguments)
    page = "\n\n".join(table.markdown() for table in tables) + "\n"
    (arguments.out / "pictures.md").write_text(page, encoding="utf-8")
    figures = {table.title: table.by_name() for table in tables}
    (arguments.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(page)


# --- the image tokenizer ------------------------------------------------------------------------------------------


def judge_tokenizer(tokenizer: ImageVQ, arguments: Arguments) -> list[Table]:
    side = tokenizer.config.side_px
    kinds = picture_kinds(arguments.data, side, arguments.pictures)
    quality: dict[str, tuple[float, ...]] = {}
    all_ids = []
    shown_pairs: list[tuple[Tensor, Tensor]] = []
    for kind, pictures in kinds.items():
        pixels_BCHW = pixels_of(pictures)
        ids_BHW, drawn_BCHW = there_and_back(tokenizer, pixels_BCHW)
        decibels_B = psnr_db((drawn_BCHW - pixels_BCHW).square().mean((1, 2, 3)))
        quality[kind] = (len(pictures), float(decibels_B.mean()), float(decibels_B.quantile(0.1)))
        all_ids.append(ids_BHW.flatten())
        every = max(1, len(pictures) // GRID_COLUMNS)
        shown_pairs += list(zip(pixels_BCHW[::every][:GRID_COLUMNS], drawn_BCHW[::every][:GRID_COLUMNS], strict=True))
    write_grid(arguments.out / "pictures.png", shown_pairs)
    entropy_bits, num_used = usage(torch.cat(all_ids))
    first_BCHW = pixels_BCHW[:1].contiguous()
    ids_1HW = tokenizer.encode(first_BCHW)
    cost = {
        "ids a picture": tokenizer.config.num_ids,
        "codes used": num_used,
        "codes there are": tokenizer.config.codebook_size,
        "entropy of an id, bits": entropy_bits,
        "encode, ms": median_ms(lambda: tokenizer.encode(first_BCHW)),
        "decode, ms": median_ms(lambda: tokenizer.decode(ids_1HW)),
    }
    return [
        Table("Pictures there and back", ("pictures", "PSNR dB", "lowest tenth dB"), quality),
        round_trip(tokenizer, judge_of(arguments, side), arguments.pictures),
        Table("Image tokenizer", ("",), {name: (value,) for name, value in cost.items()}),
    ]


def picture_kinds(data: Path, side_px: int, num: int) -> dict[str, list[NDArray[np.uint8]]]:
    """At most `num` pictures of each kind. Only the last kind's subjects were trained on."""
    emoji = data / "pictures" / "emoji"
    sets = {"unseen emoji": PictureSet(emoji, split=Split.EVAL), "seen emoji": PictureSet(emoji, split=Split.TRAIN)}
    kinds: dict[str, list[NDArray[np.uint8]]] = {}
    for name, pictures in sets.items():
        styles = sorted({record.style for record in pictures.records})
        for style in styles:
            numbers = [number for number, record in enumerate(pictures.records) if record.style == style]
            chosen = numbers[:: max(1, len(numbers) // num)][:num]
            kinds[f"{name}, {style}"] = [shown(pictures[number].rgba, side_px) for number in chosen]
    drawn = [scene(index, EVALUATION_SEED, side_px).rgb for index in range(num)]
    return {"unseen scenes": drawn, **kinds}


@torch.no_grad()
def there_and_back(tokenizer: ImageVQ, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Ids, and the pixels drawn from them, as they are served: picture by picture."""
    ids_BHW = tokenizer.encode(pixels_BCHW)
    return ids_BHW, tokenizer.decode(ids_BHW)


def judge_of(arguments: Arguments, side_px: int) -> ShapeReader:
    path = arguments.judge or arguments.out / "judge.pt"
    if not path.exists():
        print("training the judge of shapes and colours", flush=True)
        torch.save(train_shape_reader(side_px).state_dict(), path)
    judge = ShapeReader()
    judge.load_state_dict(torch.load(path, weights_only=True))
    return judge.eval()


def round_trip(tokenizer: ImageVQ, judge: ShapeReader, num: int) -> Table:
    """Shares of scenes whose shape and colour the judge names rightly, before and after.

    The judge errs on originals too; the last row leaves those out, for shape, colour and both each.
    """
    scenes = shape_scenes(num, 0, EVALUATION_SEED, tokenizer.config.side_px)
    pixels_BCHW = pixels_of([drawn.rgb for drawn in scenes])
    truth = labels_of(scenes)
    drawn_BCHW = there_and_back(tokenizer, pixels_BCHW)[1]

    def hits(looked_at: Tensor) -> tuple[Tensor, ...]:
        shape_right, colour_right = (read == true for read, true in zip(judge.read(looked_at), truth, strict=True))
        return shape_right, colour_right, shape_right & colour_right

    before, after = hits(pixels_BCHW), hits(drawn_BCHW)
    rows = {
        "originals": tuple(100 * float(right.float().mean()) for right in before),
        "after the round trip": tuple(100 * float(right.float().mean()) for right in after),
        "after it, of those read rightly before": tuple(
            100 * float(still[right].float().mean()) for right, still in zip(before, after, strict=True)
        ),
    }
    return Table(f"Shapes and colours in {num} scenes", ("shape %", "colour %", "both %"), rows)


def write_grid(path: Path, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Rows of originals, each above a row of what came back."""
    rows = []
    for start in range(0, len(pairs) - GRID_COLUMNS + 1, GRID_COLUMNS):
        of_row = pairs[start : start + GRID_COLUMNS]
        rows += [np.hstack([to_rgb(pair[side]) for pair in of_row]) for side in (0, 1)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


# --- the vision encoder -------------------------------------------------------------------------------------------


def judge_encoder(seer: Seer, arguments: Arguments) -> list[Table]:
    side = seer.encoder.config.side_px
    seen, unseen = familiar_pictures(list(PictureSet(arguments.data / "pictures" / "emoji", split=Split.TRAIN)))
    frames = [frame(index, EVALUATION_SEED, seen, side) for index in range(arguments.frames)]
    rows = {question.value: row for question, row in answered(seer, frames).items()}
    if unseen:
        again = range(max(arguments.frames // 4, len(unseen)))
        held_up = [picture_frame(unseen[index % len(unseen)], index, EVALUATION_SEED, side) for index in again]
        rows["picture, unseen style"] = answered(seer, held_up)[Question.PICTURE]
    pixels_1CHW = gather(frames[:1]).pixels_BCHW.contiguous()
    cost = {
        "positions a frame": float(seer.encoder.config.num_positions),
        "encode a frame, ms": median_ms(lambda: seer.encoder.encode(pixels_1CHW)),
    }
    return [
        Table("Read from a frame's features by one linear layer", ("frames asked", "right %"), rows),
        Table("Vision encoder", ("",), {name: (value,) for name, value in cost.items()}),
    ]


@torch.no_grad()
def answered(seer: Seer, frames: Sequence[Frame]) -> dict[Question, tuple[float, ...]]:
    """How many frames have an answer, and the share of right ones in percent; questions nobody asks are left out."""
    right: dict[Question, list[Tensor]] = {question: [] for question in Question}
    for start in range(0, len(frames), 64):
        batch = gather(frames[start : start + 64])
        scores, _ = seer(batch.pixels_BCHW)
        for question, labels_B in zip(Question, batch.labels_BQ.T, strict=True):
            asked_B = labels_B != NO_ANSWER
            right[question].append((scores[question].argmax(-1) == labels_B)[asked_B])
    joined = {question: torch.cat(hits).float() for question, hits in right.items()}
    return {question: (len(hits), 100 * float(hits.mean())) for question, hits in joined.items() if len(hits)}


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
