"""How well silence is kept: the probability of No Output where a head should say nothing, and where it should speak."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.heads import frame_digits
from model.network import Network
from model.training.batches import to_device
from model.training.forward import asked, frame_logits, joint_weight
from model.training.packed_rows import PackedRows


@torch.no_grad()
def no_output_figures(network: Network, batches: Sequence[PackedRows]) -> dict[str, float]:
    """Means over asked positions: `HEAD_silent_when_due` should rise to 1, `HEAD_silent_when_speaking` fall to 0."""
    device = network.embedding.fuse.weight.device
    chances: dict[str, list[Tensor]] = {}
    for batch in batches:
        text, audio = asked(network, to_device(batch, device))
        no_output = network.config.vocab.no_output
        text_N = torch.log_softmax((text.hidden_ND @ joint_weight(network).T).float(), -1)[:, no_output].exp()
        audio_N = no_frame_chance(network, audio.hidden_ND, audio.target)
        for head, chance_N, is_due_N in (
            ("text", text_N, text.target == no_output),
            ("audio", audio_N, audio.target[:, 0] < 0),
        ):
            chances.setdefault(f"{head}_silent_when_due", []).append(chance_N[is_due_N])
            chances.setdefault(f"{head}_silent_when_speaking", []).append(chance_N[~is_due_N])
    means = {name: torch.cat(parts) for name, parts in chances.items()}
    return {name: float(mean.mean()) for name, mean in means.items() if len(mean)}


def no_frame_chance(network: Network, hidden_ND: Tensor, codes_NK: Tensor) -> Tensor:
    """The probability that the audio head says nothing, [N]. Its first digit decides."""
    digits_NS = frame_digits(codes_NK.clamp_min(0), network.config.audio)
    return torch.softmax(frame_logits(network, hidden_ND, digits_NS)[0].float(), -1)[:, -1]
