"""Building a speech set: shards in parallel, committed in order, until there is as much as was asked for.

Resumes where it was killed: shards that are complete are counted, not made again. With the same plan the set is the
same for any number of workers and interruptions, because what a shard holds depends on its number alone, and shards
that a worker made beyond the last one needed are dropped.
"""

import fcntl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import msgspec
from tqdm import tqdm

from model.training.data.clip import ClipRecord, Split
from model.training.data.shards import commit_part, read_manifest, write_part, write_whole
from model.training.data.sound_files import flac_of
from model.training.data.speech_maker import SpeechMaker, SpeechPlan

PLAN_FILE = "set.json"

LoadMaker = Callable[[SpeechPlan], SpeechMaker]


def build_speech(
    directory: Path, plan: SpeechPlan, load_maker: LoadMaker, train_s: float, workers: int = 1, progress: bool = True
) -> None:
    """Evaluation clips first, then training speech until there are `train_s` seconds of it.

    `load_maker` runs once in each worker; with more than one worker it must be a function of a module.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _check_plan(directory / PLAN_FILE, plan)
    with _alone_in(directory), _hands(plan, load_maker, workers) as hands:
        num_shards = -(-plan.eval_clips // plan.clips_per_shard)
        shards = _committed(directory, Split.EVAL, range(num_shards), hands, workers)
        with tqdm(shards, total=num_shards, unit="shard", desc="eval", disable=not progress) as bar:
            deque(bar, maxlen=0)
        made_s = 0.0
        with tqdm(total=round(train_s), unit="s", desc="train", disable=not progress) as bar:
            shards = _committed(directory, Split.TRAIN, count(), hands, workers)
            while made_s < train_s:
                made_s += sum(record.duration_s for record in next(shards))
                bar.update(min(round(made_s), bar.total) - bar.n)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold the set against a second build, and leave no half-written shards behind."""
    with (directory / PLAN_FILE).open("rb") as plan:
        try:
            fcntl.flock(plan, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another process is building {directory}") from error
        yield
        for part in directory.glob("*.part"):
            part.unlink()


def _check_plan(path: Path, plan: SpeechPlan) -> None:
    if not path.exists():
        write_whole(path, msgspec.json.format(msgspec.json.encode(plan)))
        return
    before = msgspec.json.decode(path.read_bytes(), type=SpeechPlan)
    if before != plan:
        raise ValueError(f"{path.parent} holds another set, {before}; choose another directory for {plan}")


def _committed(
    directory: Path, split: Split, numbers: Iterable[int], hands: Executor, workers: int
) -> Iterator[list[ClipRecord]]:
    """The records of each shard in turn, once it is whole on disk. Up to `workers` shards are being made meanwhile."""
    ahead: deque[tuple[str, Future[list[ClipRecord]] | None]] = deque()
    numbers = iter(numbers)
    while True:
        for number in numbers:
            shard = f"{split}-{number:05d}"
            whole = (directory / f"{shard}.jsonl").exists()
            ahead.append((shard, None if whole else hands.submit(_make_part, directory, split, number)))
            if len(ahead) >= workers:
                break
        if not ahead:
            return
        shard, making = ahead.popleft()
        if making is None:
            yield read_manifest(directory / f"{shard}.jsonl", ClipRecord)
        else:
            records = making.result()
            commit_part(directory, shard, records)
            yield records


_maker: SpeechMaker | None = None  # of this worker process, which makes shards and nothing else


def _load(load_maker: LoadMaker, plan: SpeechPlan) -> None:
    global _maker
    _maker = load_maker(plan)


def _make_part(directory: Path, split: Split, number: int) -> list[ClipRecord]:
    assert _maker is not None
    clips = _maker.shard(split, number)
    return write_part(directory, f"{split}-{number:05d}", [(record, ".flac", flac_of(pcm)) for record, pcm in clips])


@contextmanager
def _hands(plan: SpeechPlan, load_maker: LoadMaker, workers: int) -> Iterator[Executor]:
    """Worker processes, or this process alone where one worker is enough."""
    if workers < 1:
        raise ValueError(f"at least one worker must make shards, not {workers}")
    if workers == 1:
        _load(load_maker, plan)
        yield _InThisProcess()
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _load, (load_maker, plan))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _InThisProcess(Executor):
    """Runs what is submitted at once."""

    def submit(self, function, /, *arguments, **named):  # type: ignore[no-untyped-def]
        future: Future[list[ClipRecord]] = Future()
        future.set_result(function(*arguments, **named))
        return future
