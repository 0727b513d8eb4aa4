"""The training loop: steps over the phases of any `Stage`, with checkpoints from which a run goes on exactly.

Batches are numbered over steps, micro-batches and processes, and torch's, numpy's and Python's generators are seeded
anew for each from the run's seed and that number. A killed run that resumes therefore ends with the same bits as an
unbroken one. A micro-batch weighs as much as the units it learned from, so accumulating several equals one batch of
all their units wherever the stage's loss is a mean over units.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.decoder import Layer
from model.training.averaging import Average
from model.training.batches import batch_indices, seed_everything, to_device
from model.training.checkpoints import Checkpoints, RunState, barrier
from model.training.config import LoopConfig, Schedule
from model.training.interrupt import stopping_on_signals
from model.training.optimizer import (
    build_optimizer,
    gradients,
    optimizer_tensors,
    rate_at,
    scale_and_clip,
    trainable,
)
from model.training.parallel import Place, distribute, gather_weights
from model.training.progress import Progress
from model.training.qat import attach_grid, grid_computed_once
from model.training.report import Report, write_report
from model.training.shards import num_ranks, rank, saved_buffers
from model.training.stage import BatchT, Stage

__all__ = ["LoopConfig", "Schedule", "run"]

AnyT = TypeVar("AnyT")
CPU = torch.device("cpu")


class Networks(nn.Module):
    """All networks of a stage under one root. Whatever uses them runs as its forward, which sharded weights need."""

    def __init__(self, phases: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.phases = nn.ModuleDict(phases)

    def forward(self, work: Callable[[], AnyT]) -> AnyT:
        return work()


def run(
    stage: Stage[BatchT],
    config: LoopConfig,
    out_dir: Path,
    *,
    title: str = "training",
    resume: bool = False,
    place: Place | None = None,
) -> Report:
    """Train `stage` and export it into `out_dir/export`. Returns early, without an export, where it is interrupted.

    Raises FileExistsError where `out_dir` holds checkpoints and `resume` is off, FileNotFoundError where there is
    nothing to resume, and FloatingPointError where a loss or gradient is not finite.
    """
    return _Run(stage, config, out_dir, title, place or Place(CPU)).run(resume)


class _Run:
    """The parts of one run, and its position."""

    def __init__(self, stage: Stage[BatchT], config: LoopConfig, out_dir: Path, title: str, place: Place) -> None:
        torch.set_flush_denormal(True)  # moments and weights that fade would otherwise take a hundred times as long
        self.stage, self.config, self.out_dir, self.title, self.place = stage, config, out_dir, title, place
        self.networks = Networks(stage.networks)
        self.networks.to(place.device)
        if config.qat is not None:
            attach_grid(self.networks, config.qat)
        for part in self.networks.modules():
            if isinstance(part, Layer):
                if config.recompute:
                    part.forward = partial(checkpoint, part.forward, use_reentrant=False)
                if config.compile:
                    part.compile()
        parameters = list(self.networks.parameters())
        self.num_trained = sum(p.numel() for p in parameters if p.requires_grad)
        self.num_frozen = sum(p.numel() for p in parameters if not p.requires_grad)
        distribute(self.networks, place, config.bf16)
        self.learning = {phase: trainable(network) for phase, network in self.networks.phases.items()}
        for phase, learning in self.learning.items():
            if not learning:
                raise ValueError(f"nothing learns in phase {phase!r}: all its weights are frozen")
        self.optimizers = {phase: build_optimizer(network, config) for phase, network in self.networks.phases.items()}
        self.average = Average(self._weights(), config.ema_decay) if config.ema_decay is not None else None
        self.checkpoints = checkpoints_of(out_dir)
        self.state = RunState()

    def run(self, resume: bool) -> Report:
        config = self.config
        self._open(resume)
        first_step = self.state.step
        progress = Progress(self.out_dir, self.title, self.stage.unit, config.steps, first_step, speaks=rank() == 0)
        if config.bf16 and self.place.device == CPU and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            progress.say("this processor does not compute in bfloat16: --loop.no-bf16 is many times as fast")
        try:
            with stopping_on_signals() as asked_to_stop:
                stopped = False
                while self.state.step < config.steps and not stopped:
                    loss, figures, stopped = self._step(asked_to_stop)
                    done = self.state.step
                    progress.advance(loss, figures["speed"])
                    if done % config.log_every == 0 or done in (1, config.steps):
                        progress.log(done, figures)
                    if config.evaluate_every and done % config.evaluate_every == 0 and done < config.steps:
                        self._evaluate(progress)
                    if done % config.checkpoint_every == 0 or stopped or self.state.best_step == done:
                        self._save()
            if self.state.step >= config.steps:
                if config.steps not in self.state.evaluations:
                    self._evaluate(progress)
                self._save()
                self._export()
        finally:
            progress.close()
        report = self._report()
        if report.finished and rank() == 0:
            write_report(report, self.out_dir, repr(config))
        barrier()
        return report

    def _open(self, resume: bool) -> None:
        check_directory(self.out_dir, resume)
        if resume:
            self.state = self.checkpoints.load_latest(self._tensors())
        self.out_dir.mkdir(parents=True, exist_ok=True)

    def _step(self, asked_to_stop: threading.Event) -> tuple[float, dict[str, float], bool]:
        """One update of every phase → the summed loss, all figures, and whether any process was asked to stop."""
        begun = time.perf_counter()
        config, place, step = self.config, self.place, self.state.step
        indices = batch_indices(step, config.micro_batches, place.data_rank, place.num_data_ranks)
        batches = {}
        for index in indices:
            seed_everything(config.seed, index)
            batches[index] = to_device(self.stage.batch(index), place.device)
        rate = rate_at(step, config)
        figures: dict[str, float] = {"learning_rate": rate}
        summed_loss, all_units, stops = 0.0, 0.0, 0.0
        for number, (phase, optimizer) in enumerate(self.optimizers.items()):
            with only_learning(self.learning, phase), self._grid():
                optimizer.zero_grad()
                parts, units = self._accumulate(phase, number, batches)
            loss, units, stops = self._sum_over_processes(
                [parts["loss"] * units, units, float(asked_to_stop.is_set()) + stops]
            )
            if units <= 0:
                raise ValueError(f"step {step}: phase {phase!r} learned from {units} {self.stage.unit}")
            parts["loss"] = loss / units
            scale = place.num_data_ranks / units  # FSDP has taken the mean over processes
            norm = scale_and_clip(gradients(self.learning[phase].values()), scale, config.clip_norm)
            if not math.isfinite(norm) or not math.isfinite(loss):
                raise FloatingPointError(f"step {step}, phase {phase!r}: loss {loss / units}, gradient norm {norm}")
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            prefix = f"{phase}/" if len(self.optimizers) > 1 else ""
            figures |= {f"{prefix}{name}": value for name, value in parts.items()} | {f"{prefix}gradient_norm": norm}
            summed_loss += loss / units
            all_units = all_units or units  # of the first phase
        if self.average is not None:
            self.average.update(step)
        seconds = time.perf_counter() - begun
        self.state.seconds += seconds
        self.state.units += all_units
        self.state.step += 1
        return summed_loss, figures | {"speed": all_units / seconds}, stops > 0

    def _accumulate(self, phase: str, number: int, batches: Mapping[int, BatchT]) -> tuple[dict[str, float], float]:
        """Add up this process's gradients, each batch's times its units → the loss's parts, averaged, and all units."""
        sums: dict[str, float] = {}
        units: dict[str, float] = {}
        with self._precision():  # around all batches, so that weights are cast once
            for index, batch in batches.items():
                seed_everything(self.config.seed, index, number)
                total, num_units, parts = self.networks(partial(self._loss, phase, batch))
                with torch.autocast(self.place.device.type, enabled=False):
                    (total * num_units).backward()
                for name, part in {"loss": total, **parts}.items():
                    sums[name] = sums.get(name, 0.0) + float(part.detach()) * num_units
                    units[name] = units.get(name, 0.0) + num_units
        return {name: sums[name] / (units[name] or 1.0) for name in sums}, units["loss"]

    def _loss(self, phase: str, batch: BatchT) -> tuple[Tensor, float, dict[str, Tensor]]:
        loss = self.stage.loss(phase, batch, self.state.step)
        return loss.total, loss.num_units, dict(loss.parts)  # what hooks on the root's output can look into

    def _sum_over_processes(self, values: list[float]) -> list[float]:
        """Sums over the processes that hold batches of their own."""
        if self.place.mesh is None:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.place.device)
        dist.all_reduce(tensor)
        return (tensor * (self.place.num_data_ranks / num_ranks())).tolist()

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.place.device.type, torch.bfloat16, enabled=self.config.bf16)

    def _grid(self) -> AbstractContextManager[object]:
        """Weights are rounded once inside, for all micro-batches; where they are gathered, at every gathering."""
        alone = self.config.qat is not None and self.place.mesh is None
        return grid_computed_once() if alone else nullcontext()

    def _evaluate(self, progress: Progress) -> None:
        """Figures on held-out data into the state and the log; a new best is kept."""
        config, state = self.config, self.state
        seed_everything(config.seed, -1)
        with self._as_served(), torch.no_grad(), self._precision(), self._grid():
            figures = {name: float(value) for name, value in self.networks(self.stage.evaluate).items()}
        figures = of_first_process(figures)  # what is decided from them must be decided alike
        state.evaluations[state.step] = figures
        value = figures.get(config.best)
        if value is not None and (state.best_value is None or value < state.best_value):
            state.best_value, state.best_step = value, state.step
        progress.log(state.step, {f"held_out/{name}": value for name, value in figures.items()})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        progress.say(f"step {state.step}: {shown}")

    def _export(self) -> None:
        directory = self.out_dir / "export"
        with self._as_served(), torch.no_grad():
            gather_weights(self.networks, self.place)
            if rank() == 0:
                directory.mkdir(exist_ok=True)
                self.stage.export(directory)

    @contextmanager
    def _as_served(self) -> Iterator[None]:
        """Evaluation mode, with averaged weights where the run averages."""
        training = {part: part.training for part in self.networks.modules()}
        self.networks.eval()
        try:
            with self.average.swapped() if self.average is not None else nullcontext():
                yield
        finally:
            for part, flag in training.items():
                part.training = flag

    def _save(self) -> None:
        self.checkpoints.save(self.state, self._tensors())

    def _weights(self) -> dict[str, Tensor]:
        """Live weights that learn, and buffers, by name."""
        weights: dict[str, Tensor] = {}
        for phase, network in self.networks.phases.items():
            weights |= {f"{phase}/{name}": tensor for name, tensor in self.learning[phase].items()}
            weights |= {f"{phase}/{name}": tensor for name, tensor in saved_buffers(network).items()}
        return weights

    def _tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint stores, live."""
        tensors = self._weights()
        for phase, optimizer in self.optimizers.items():
            named = {f"{phase}/{name}": parameter for name, parameter in self.learning[phase].items()}
            tensors |= optimizer_tensors(optimizer, named)
        return tensors | (self.average.tensors if self.average is not None else {})

    def _report(self) -> Report:
        state = self.state
        return Report(
            title=self.title,
            finished=state.step >= self.config.steps,
            steps=state.step,
            seconds=state.seconds,
            units=state.units,
            unit=self.stage.unit,
            num_trained=self.num_trained,
            num_frozen=self.num_frozen,
            figures=state.evaluations[max(state.evaluations)] if state.evaluations else {},
            best_step=state.best_step,
        )


def checkpoints_of(out_dir: Path) -> Checkpoints:
    return Checkpoints(out_dir / "checkpoints")


def check_directory(out_dir: Path, resume: bool) -> None:
    """Raise FileExistsError or FileNotFoundError unless a run can begin, or go on, in this directory."""
    steps = checkpoints_of(out_dir).steps()
    if resume and not steps:
        raise FileNotFoundError(f"nothing to resume: {out_dir} holds no checkpoint")
    if steps and not resume:
        raise FileExistsError(f"{out_dir} holds a run of {steps[-1]} steps: resume it, or choose another directory")


def of_first_process(figures: dict[str, float]) -> dict[str, float]:
    """The first process's figures, in all of them."""
    if not dist.is_initialized():
        return figures
    shared = [figures]
    dist.broadcast_object_list(shared)
    return shared[0]


@contextmanager
def only_learning(learning: Mapping[str, Mapping[str, nn.Parameter]], phase: str) -> Iterator[None]:
    """Only this phase's weights take gradients inside: no work for those that another phase updates."""
    own = {id(parameter) for parameter in learning[phase].values()}
    others = [p for parameters in learning.values() for p in parameters.values() if id(p) not in own]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)
