"""How good the whole agent is, asked as its clients ask it: one table of figures with their bars.

    python -m model.training.evaluate --weights weights/nano --out runs/evaluation
    python -m model.training.evaluate --only typed chat --count 50 --out runs/typed
    python -m model.training.evaluate --only compute --time --out runs/compute

Speaks, types and shows to the session that serves, tick by tick in model time, in held-out phrasings and voices. Ctrl-C
ends it with what was measured so far. Writes `evaluation.md` (the table), `figures.json` and `exams.jsonl` (every exam:
what was asked, what was said, and what was wrong with it).
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import torch
import tyro

from model.checkpoint import load_checkpoint
from model.config import ModelConfig
from model.loading import load_engine
from model.training.data.missing import MissingPackage
from model.training.evaluation.bench import Bench
from model.training.evaluation.drawing_reader import read_drawing_reader
from model.training.evaluation.examining import Patience
from model.training.evaluation.figures import table, write_figures
from model.training.evaluation.people import check_requests
from model.training.evaluation.series import Measurement
from model.training.evaluation.suite import Measure, Plan, all_rows, kinds_table, measurements, transcripts
from model.training.evaluation.voice import ReadSpeech
from model.training.evaluation.voices import KeptCast
from model.training.simulation.emoji import EmojiBook
from model.training.stages.simulate import drawing_ticks_of

UNSPOKEN = {Measure.TYPED, Measure.COMPUTE, Measure.CHAT}  # what needs no voice
DRAWING = {Measure.SPOKEN, Measure.TYPED, Measure.DRAWN, Measure.ENDURANCE}  # what may ask for drawings
TEXT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "heldout.txt"


@dataclass(frozen=True)
class Arguments:
    """Options of the command."""

    out: Path  # directory for what is written
    weights: Path = Path("weights/nano")  # checkpoint directory
    only: Annotated[tuple[Measure, ...], tyro.conf.EnumChoicesFromValues] = ()
    """measures to take; all of them by default, but compute only with --time"""
    count: int | None = None  # exams, sentences, sessions or ticks of each measure; each has its own by default
    time: bool = False  # also measure the wall time of ticks: only where nothing else runs
    minutes: float = 10.0  # length of an endurance session
    voices: tuple[str, ...] = ()  # engine/voice of those who ask; the held-out ones that are installed by default
    assets: Path = Path("data/assets")  # packages that speech engines need
    emoji: Path | None = None  # set of named pictures, of which fifty emoji are shown
    data: Path = Path("data")  # speech sets, for held-out recordings of people
    people: Path | None = None  # directory of recorded requests with requests.jsonl
    judge: Path | None = None  # Whisper base in faster-whisper's format
    reader: Path | None = None  # file of the judge of drawings, trained where it is missing; in OUT by default
    spoken: Path | None = None  # directory where spoken lines are kept, to be used again; OUT/spoken by default
    reference: Path | None = None  # weights that typed chat is compared with: those that these were imported from
    text: Path = TEXT  # what perplexity is measured on
    backend: str = "auto"  # as in run_server.py
    threads: int = 2
    patience: Patience = field(default_factory=Patience)


class Ending(StrEnum):
    """How the measuring came to its end."""

    UNFINISHED = "unfinished"  # still measuring, or killed at it
    FINISHED = "finished"
    STOPPED = "stopped"  # by Ctrl-C
    FAILED = "failed"


def main(arguments: Arguments) -> int:
    """Returns the exit status: 0, or 1 where something cannot be measured as asked."""
    try:
        bench, plan, wanted = prepare(arguments)
        measured = measurements(bench, plan, wanted)
    except (OSError, ValueError, MissingPackage) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    ending = run(measured, lambda so_far: write(arguments, bench, measured, so_far))
    print(table(all_rows(measured)))
    return 1 if ending is Ending.FAILED else 0


def write(arguments: Arguments, bench: Bench, measured: Sequence[Measurement], ending: Ending) -> None:
    """Everything that was measured so far, in the place of what was written before."""
    rows = all_rows(measured)
    about = {
        "weights": str(arguments.weights),
        "weights_hash": bench.info.weights_hash,
        "backend": bench.info.backend,
        "ending": ending,
    }
    write_figures(arguments.out / "figures.json", about, rows)
    page = "\n".join(part for part in (table(rows), kinds_table(measured)) if part)
    (arguments.out / "evaluation.md").write_text(page, encoding="utf-8")
    (arguments.out / "exams.jsonl").write_bytes(b"".join(line + b"\n" for line in transcripts(measured)))


def run(measured: Sequence[Measurement], keep: Callable[[Ending], None]) -> Ending:
    """One after another; `keep` is called after each and at the end, whatever brings it about."""
    ending = Ending.FAILED
    try:
        for measurement in measured:
            measurement.run()
            keep(Ending.UNFINISHED)
        ending = Ending.FINISHED
    except KeyboardInterrupt:
        print("\nstopped: what was measured so far", file=sys.stderr)
        ending = Ending.STOPPED
    except (OSError, ValueError, MissingPackage) as error:
        print(f"evaluate: {error}; what was measured so far", file=sys.stderr)
    finally:
        keep(ending)
    return ending


def prepare(arguments: Arguments) -> tuple[Bench, Plan, tuple[Measure, ...]]:
    """Load what is asked for. Raises ValueError or OSError saying what is wrong."""
    wanted = arguments.only or tuple(measure for measure in Measure if measure is not Measure.COMPUTE)
    if arguments.time and Measure.COMPUTE not in wanted:
        wanted = (*wanted, Measure.COMPUTE)
    if Measure.COMPUTE in wanted and not arguments.time:
        raise ValueError("compute is measured with --time only, where nothing else runs on the machine")
    if arguments.count is not None and arguments.count < 1:
        raise ValueError(f"--count must be at least 1, got {arguments.count}")
    check_files(arguments, wanted)
    arguments.out.mkdir(parents=True, exist_ok=True)
    bench = bench_of(arguments, arguments.weights)
    if bench.info.hears and set(wanted) - UNSPOKEN:
        print("asked by", ", ".join(speaker.voice for speaker in bench.speakers), file=sys.stderr)
    reference = arguments.reference
    plan = Plan(
        weights=arguments.weights,
        text=arguments.text,
        data=arguments.data,
        count=arguments.count,
        minutes=arguments.minutes,
        people=arguments.people,
        judge=(lambda: whisper(arguments)) if arguments.judge is not None else None,
        reference=reference,
        load_reference=(lambda: bench_of(arguments, reference)) if reference is not None else None,
    )
    return bench, plan, wanted


def check_files(arguments: Arguments, wanted: Sequence[Measure]) -> None:
    """Raise an error for what would be missing only after hours."""
    if Measure.CHAT in wanted and not arguments.text.is_file():
        raise FileNotFoundError(f"no text at {arguments.text}: name one with --text")
    if arguments.people is not None:
        check_requests(arguments.people)
    reader = reader_of(arguments)
    if reader.is_file() and (arguments.reader is not None or set(wanted) & DRAWING):
        read_drawing_reader(reader)
    if arguments.reference is not None and not (arguments.reference / "config.json").is_file():
        raise FileNotFoundError(f"no weights at {arguments.reference}")
    if arguments.judge is not None:
        if not (arguments.judge / "model.bin").is_file():
            raise FileNotFoundError(f"no model in faster-whisper's format at {arguments.judge}")
        if find_spec("faster_whisper") is None:
            raise ValueError('--judge needs faster_whisper: pip install "omniweave-realtime[judges]"')


def bench_of(arguments: Arguments, weights: Path) -> Bench:
    engine = load_engine(weights, backend=arguments.backend, max_sessions=1, num_threads=arguments.threads)
    drawing_ticks = drawing_ticks_of(ModelConfig.from_json(load_checkpoint(weights).model))
    return Bench(
        engine,
        KeptCast(arguments.assets, arguments.spoken or arguments.out / "spoken"),
        reader_of(arguments),
        arguments.voices,
        EmojiBook(arguments.emoji) if arguments.emoji is not None else None,
        with_drawing(arguments.patience, drawing_ticks),
    )


def reader_of(arguments: Arguments) -> Path:
    return arguments.reader or arguments.out / "drawing_reader.safetensors"


def with_drawing(patience: Patience, drawing_ticks: int) -> Patience:
    """Never too impatient for what a drawing takes."""
    return replace(patience, drawing=max(patience.drawing, drawing_ticks))


def whisper(arguments: Arguments) -> ReadSpeech:
    """The judge of speech, with what it read kept in OUT."""
    from model.training.judges import WhisperJudge  # an optional dependency

    assert arguments.judge is not None, "only then there is one"
    return WhisperJudge(arguments.judge, arguments.out / "readings.json", arguments.threads).read


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
