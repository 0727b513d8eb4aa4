"""An engine whose heads are told what to say, and what its decoder was given meanwhile. All else is real."""

from collections import deque

import numpy as np
import torch

from model.cache import SlotCache
from model.engine import ModelEngine
from model.network import Network
from model.tokenizers.text import ByteTokenizer
from streams.types import EngineInfo

Step = tuple[int | None, np.ndarray | None]


class ToldWhatToSay(Network):
    """A network whose heads say what a script holds, a pair of id and frame for each step."""

    def tell(self, steps: list[Step]) -> None:
        self.script = deque(steps)

    def text_logits(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        text, self.frame = self.script.popleft()
        logits = torch.full((1, self.config.vocab.no_output + 1), -100.0)
        logits[0, self.config.vocab.no_output if text is None else text] = 100.0
        return logits

    def draw_frame(self, hidden_D, draw) -> torch.Tensor | None:
        return None if self.frame is None else torch.from_numpy(self.frame)


class Listener:
    """The decoder, remembering what it was given and what it gave back."""

    def __init__(self, network: Network) -> None:
        self.decoder = network.decoder
        self.inputs: list[torch.Tensor] = []
        self.hidden: list[torch.Tensor] = []

    def forward_cached(self, x_ND, rows, cache):
        self.inputs.append(x_ND.clone())
        self.hidden.append(self.decoder.forward_cached(x_ND, rows, cache).clone())
        return self.hidden[-1]


def scripted_engine(network: Network, script: list[Step], capacity: int = 512) -> tuple[ModelEngine, Listener]:
    """An engine of one session with the network's weights."""
    config = network.config
    told = ToldWhatToSay(config).eval()
    told.load_state_dict(network.state_dict())
    told.tell(script)
    listener = Listener(told)
    info = EngineInfo("tiny", 1, config.tick.max_steps, "w", "b", "reference", True, True, True, True, True)
    cache = SlotCache(config.decoder, 1, capacity, torch.float32)
    return ModelEngine(told, listener, cache, ByteTokenizer(), info), listener
