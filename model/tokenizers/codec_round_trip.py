"""A recording through the audio codec as a session would send it, and what came back in step with it.

Shapes: T samples, F frames, K codebooks.
"""

import numpy as np
import torch

from model.tokenizers.audio_codec import AudioCodec
from streams.types import SAMPLES_PER_TICK, Samples

LEAD_SAMPLES = SAMPLES_PER_TICK


def whole_frames(codec: AudioCodec, pcm: Samples) -> torch.Tensor:
    """[1, T]: silence, as before any speech of a session; the sound; silence, while what is late still comes."""
    num_frames = -(-(LEAD_SAMPLES + len(pcm) + codec.config.late_samples) // SAMPLES_PER_TICK)
    filled = np.zeros(num_frames * SAMPLES_PER_TICK, np.float32)
    filled[LEAD_SAMPLES : LEAD_SAMPLES + len(pcm)] = pcm
    return torch.from_numpy(filled)[None]


def its_part(codec: AudioCodec, pcm_T: torch.Tensor, num_samples: int) -> Samples:
    """Of what the codec made of `whole_frames`, the part that is the sound."""
    start = LEAD_SAMPLES + codec.config.late_samples
    return pcm_T[start : start + num_samples].numpy()


def through_codec(codec: AudioCodec, pcm: Samples) -> tuple[torch.Tensor, Samples]:
    """Codes [F, K] and the sound that they give, frame by frame as served."""
    codes_BFK = codec.encode(whole_frames(codec, pcm))
    return codes_BFK[0], its_part(codec, codec.decode(codes_BFK)[0], len(pcm))
