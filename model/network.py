"""Every part of one model, composed: embedding, decoder, heads, tokenizers and encoders.

What a checkpoint does not hold is built from a seed.

Shape legend: N rows, D model width, V joint vocabulary, K codebooks.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.decoder import Decoder
from model.embedding import Embedding
from model.encoders.audio import AudioEncoder
from model.encoders.vision import VisionEncoder
from model.heads import AudioHead, DepthHead, TextImageHead, fold_digits
from model.init import init_weights
from model.pixels import Fit, to_pixels, to_rgb
from model.tokenizers.audio_codec import AudioCodec
from model.tokenizers.image_vq import ImageVQ
from model.tokenizers.streaming import StreamState
from streams.types import Pixels, Samples

PARTS = ("audio_codec", "audio_encoder", "vision", "image_vq")  # trained apart; NAME.safetensors holds one's weights


class SoundState:
    """One sound's place in a streaming network. Advanced in place."""

    def __init__(self, state: StreamState) -> None:
        self.state = state


class Network(nn.Module):
    """The model. `with_decoder` False leaves the decoder to a fast twin that holds the weights itself."""

    def __init__(self, config: ModelConfig, with_decoder: bool = True) -> None:
        super().__init__()
        self.config = config
        width = config.decoder.d_model
        self.embedding = Embedding(width, config.vocab, config.audio, config.encoding)
        self.decoder = Decoder(config.decoder) if with_decoder else None
        self.text_head = TextImageHead(width, config.vocab)
        self.audio_head = AudioHead(width, config.audio) if config.depth is None else None
        self.depth_head = DepthHead(width, config.audio, config.depth) if config.depth is not None else None
        self.audio_codec = AudioCodec(config.audio_codec) if config.audio_codec is not None else None
        self.audio_encoder = AudioEncoder(config.audio_encoder) if config.audio_encoder is not None else None
        self.vision = VisionEncoder(config.vision) if config.vision is not None else None
        self.image_vq = ImageVQ(config.image_vq) if config.image_vq is not None else None
        if config.tied_text_head:
            self.text_head.text = TiedHead(self.embedding)

    def init(self, seed: int) -> None:
        """Fill every weight from `seed`."""
        init_weights(self, seed)
        self.embedding.reset_fuse()

    def prepare_for_inference(self) -> None:
        """No gradients, no training-time parametrisation."""
        self.eval()
        self.requires_grad_(False)
        if self.audio_codec is not None:
            self.audio_codec.fold_weight_norm()

    # --- in ----------------------------------------------------------------------------------------------------------

    def see(self, rgb: Pixels) -> Tensor:
        """A frame uint8 [H, W, 3] → features [positions, D]. Raises ValueError where the model has no eyes."""
        if self.vision is None:
            raise ValueError(f"{self.config.name} has no vision encoder")
        return self.vision.encode(to_pixels(rgb, self.vision.config.side_px, Fit.PAD)[None])[0]

    def sound_state(self) -> SoundState:
        """The start of a sound to `hear`."""
        if self.audio_encoder is not None:
            return SoundState(self.audio_encoder.encoder_state())
        if self.audio_codec is not None:
            return SoundState(self.audio_codec.encoder_state())
        raise ValueError(f"{self.config.name} has neither an audio encoder nor an audio codec")

    def hear(self, pcm: Samples, sound: SoundState) -> Tensor:
        """One tick of sound [6000] → features [positions, D] float32, or codes [1, K] where there is no encoder."""
        pcm_B1T = torch.from_numpy(pcm)[None, None]
        if self.audio_encoder is not None:
            features_BND, sound.state = self.audio_encoder.encode_frame(sound.state, pcm_B1T)
            return features_BND[0]
        assert self.audio_codec is not None, "sound_state raised otherwise"
        codes_BK, sound.state = self.audio_codec.encode_frame(sound.state, pcm_B1T)
        return codes_BK

    # --- out ---------------------------------------------------------------------------------------------------------

    def text_logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits [N, V] of the text and image head; [N, text] where nothing else can be chosen."""
        with_extra = self.config.abilities.draws or self.config.abilities.self_paced
        return self.text_head(hidden_ND, with_extra)

    def draw_frame(self, hidden_D: Tensor, draw: Callable[[Tensor, int], int]) -> Tensor | None:
        """Codes [K] of one audio frame, or None for No Output. `draw(logits, place)` picks each digit."""
        if self.depth_head is not None:
            return self.depth_head.generate(hidden_D[None], draw)
        assert self.audio_head is not None, "a model has one of the two heads"
        digits: list[int] = []
        for codebook in self.audio_head(hidden_D[None]):
            for index, logits in enumerate(codebook):
                row = logits[0] if index > 0 or not digits else logits[0, :-1]  # only the first may say No Output
                digits.append(draw(row, len(digits)))
                if digits[0] == self.config.audio.factors[0]:
                    return None
        return fold_digits(torch.tensor(digits), self.config.audio)

    def voice_state(self) -> SoundState | None:
        """The start of the model's own voice; None where it has none."""
        return SoundState(self.audio_codec.decoder_state()) if self.audio_codec is not None else None

    def speak(self, codes_K: Tensor, voice: SoundState | None) -> Tensor:
        """Codes of one frame → samples [6000]."""
        if self.audio_codec is None or voice is None:
            raise ValueError(f"{self.config.name} has no audio codec")
        pcm_BT, voice.state = self.audio_codec.decode_frame(voice.state, codes_K[None])
        return pcm_BT[0]

    @property
    def num_image_codes(self) -> int:
        """Codes of one picture."""
        return self.image_vq.config.num_ids if self.image_vq is not None else 0

    def render(self, codes: list[int]) -> Pixels:
        """Image codes in reading order → uint8 [H, W, 3]."""
        if self.image_vq is None:
            raise ValueError(f"{self.config.name} has no image tokenizer")
        grid = self.image_vq.config.grid
        return to_rgb(self.image_vq.decode(torch.tensor(codes).view(1, grid, grid))[0])


class TiedHead(nn.Module):
    """The text table read backwards: hidden [..., D] → logits [..., text]. Holds no weight of its own."""

    def __init__(self, embedding: Embedding) -> None:
        super().__init__()
        self._embedding = (embedding,)  # in a tuple, so that its weights are not counted twice

    def forward(self, hidden: Tensor) -> Tensor:
        table = self._embedding[0].text
        assert isinstance(table, nn.Embedding)
        return nn.functional.linear(hidden, table.weight)


def untrained_parts(config: ModelConfig, stored: Iterable[str]) -> tuple[str, ...]:
    """Modules of the model for which no tensor is `stored`, outermost names only."""
    with torch.device("meta"):
        network = Network(config)
    filled = {name.rpartition(".")[0] for name in stored}
    if config.tied_text_head:
        filled.add("text_head.text")
    found: list[str] = []
    for path, module in network.named_modules():
        covered = any(path.startswith(f"{outer}.") for outer in found)
        has_weights = any(True for _ in module.state_dict())
        if path and not covered and has_weights and not any(f"{name}.".startswith(f"{path}.") for name in filled):
            found.append(path)
    return tuple(found)
