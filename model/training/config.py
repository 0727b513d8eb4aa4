"""How a run trains, apart from what it trains: every number that the loop reads. A stage's config holds one."""

from dataclasses import dataclass
from enum import Enum

from model.fp4 import Fp4Format


class Schedule(Enum):
    """What the learning rate does after its warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"  # to zero at the last step
    LINEAR_TAIL = "linear_tail"  # constant, then straight to zero over the last `decay_fraction` of the steps


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """Steps, optimizer, precision and what is written when. A step is one update of every phase."""

    steps: int = 1_000
    seed: int = 0  # of weights and batches where the stage draws any, and of whatever a loss draws
    learning_rate: float = 3e-4
    warmup_steps: int = 100  # from zero in a straight line
    schedule: Schedule = Schedule.COSINE
    decay_fraction: float = 0.4  # of LINEAR_TAIL
    betas: tuple[float, float] = (0.9, 0.95)  # of AdamW
    weight_decay: float = 0.1  # of matrices; norms, biases and embeddings never decay
    clip_norm: float = 1.0  # largest norm of one phase's gradient; 0 does not clip
    micro_batches: int = 1  # batches of one step, per process that holds data of its own
    ema_decay: float | None = None  # evaluate and export weights averaged over steps at this rate
    bf16: bool = True  # autocast to bfloat16; weights and optimizer stay in float32
    qat: Fp4Format | None = None  # train through this four-bit grid, with straight-through gradients
    compile: bool = False  # compile the decoder's layers: minutes at the start
    recompute: bool = False  # keep only the inputs of decoder layers for the backward pass: less memory, more work
    checkpoint_every: int = 500  # steps
    evaluate_every: int = 500  # steps; 0 evaluates at the end only
    log_every: int = 10  # steps
    best: str = "loss"  # the figure of `evaluate`, lower is better, whose best checkpoint is kept

    def __post_init__(self) -> None:
        for name in ("steps", "micro_batches", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "warmup_steps", "weight_decay", "clip_norm", "evaluate_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative, got {getattr(self, name)}")
        if not 0 < self.decay_fraction <= 1:
            raise ValueError(f"decay_fraction is a share of the steps in (0, 1], got {self.decay_fraction}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay lies between 0 and 1, got {self.ema_decay}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas lie in [0, 1), got {self.betas}")
