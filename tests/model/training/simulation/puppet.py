"""An engine whose model says what a sample's targets say, and that keeps every decoder input it was given."""

import numpy as np
import torch
from torch import Tensor

from model.cache import Rows, SlotCache
from model.config import ModelConfig
from model.engine import ModelEngine
from model.network import Network
from model.tokenizers.text import ByteTokenizer
from model.training.sequences import Sample
from streams.types import EngineInfo

CACHE_POSITIONS = 1 << 15


class PuppetNetwork(Network):
    """Heads that read their position's number off the hidden state and answer with the sample's targets there."""

    def follow(self, sample: Sample) -> None:
        self.sample = sample
        self.asked_text: set[int] = set()
        self.asked_audio: set[int] = set()

    def text_logits(self, hidden_ND: Tensor) -> Tensor:
        logits = torch.full((len(hidden_ND), self.config.vocab.no_output + 1), -100.0)
        for row, place in enumerate(hidden_ND[:, 0].long().tolist()):
            self.asked_text.add(place)
            logits[row, int(self.sample.text_T[place])] = 100.0
        return logits

    def draw_frame(self, hidden_D: Tensor, draw: object) -> Tensor | None:
        place = int(hidden_D[0])
        self.asked_audio.add(place)
        codes_K = self.sample.audio_TK[place]
        return None if codes_K[0] < 0 else torch.from_numpy(codes_K.astype(np.int64))


class CountingDecoder:
    """Hidden states that say which position they belong to."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []

    def forward_cached(self, x_ND: Tensor, rows: Rows, cache: SlotCache) -> Tensor:
        first = sum(len(x) for x in self.inputs)
        self.inputs.append(x_ND.clone())
        places = torch.arange(first, first + len(x_ND), dtype=torch.float32)
        return places[:, None].expand(-1, x_ND.shape[1])


class Puppet:
    """The engine, its network and what its decoder was given."""

    def __init__(self, config: ModelConfig, seed: int) -> None:
        self.network = PuppetNetwork(config).eval()
        self.network.init(seed)
        self.decoder = CountingDecoder()
        info = EngineInfo("puppet", 1, config.tick.max_steps, "w", "b", "puppet", True, True, True, True, True)
        cache = SlotCache(config.decoder, 1, CACHE_POSITIONS, torch.float32)
        self.engine = ModelEngine(self.network, self.decoder, cache, ByteTokenizer(), info)
