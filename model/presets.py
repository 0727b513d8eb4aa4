"""The models we describe, as functions: from one for tests to those that need many GPUs."""

from collections.abc import Callable

from model.chat import ChatTemplateConfig
from model.config import (
    Abilities,
    AudioVocabConfig,
    DecoderConfig,
    EncodingConfig,
    ModelConfig,
    TickConfig,
    VocabConfig,
)
from model.encoders.audio import seed_audio_encoder, whisper_tiny_encoder
from model.encoders.vision import light_vit, seed_vit, tiny_vit
from model.tokenizers.audio_codec import seed_codec, speech_codec, tiny_codec
from model.tokenizers.image_vq import light_image_vq, omniweave_image_vq, seed_image_vq, tiny_image_vq
from model.tokenizers.text import ByteTokenizer
from streams.types import Sampling

CHAT = ChatTemplateConfig()
TEXT_SAMPLING = Sampling(temperature=0.2, top_k=50, top_p=0.9, repetition_penalty=1.1)  # SmolLM2, and fewer loops
AUDIO_SAMPLING = Sampling(temperature=0.7, top_k=0, top_p=1.0)
INSTRUCTIONS = "You are a helpful AI assistant."
TEXT_ONLY = Abilities()
EVERYTHING = Abilities(writes=True, hears=True, sees=True, speaks=True, draws=True, self_paced=True)


def tiny() -> ModelConfig:
    """For tests: every part there is, in a few thousand weights, over bytes of text."""
    return ModelConfig(
        name="tiny",
        decoder=DecoderConfig(d_model=64, num_layers=2, num_heads=4, num_kv_heads=2, d_head=16, d_ffn=128),
        vocab=VocabConfig(text=ByteTokenizer().vocab_size, image=tiny_image_vq().codebook_size),
        tied_text_head=False,
        audio=AudioVocabConfig(num_codebooks=4, codebook_size=256, factors=(16, 16)),
        encoding=EncodingConfig(position_dim=8, time_dim=8),
        chat=CHAT,
        text_sampling=TEXT_SAMPLING,
        audio_sampling=AUDIO_SAMPLING,
        instructions=INSTRUCTIONS,
        tick=TickConfig(max_steps=8, max_positions=64, max_answer_tokens=64, cache_positions=256),
        abilities=EVERYTHING,
        depth=DecoderConfig(d_model=32, num_layers=1, num_heads=2, num_kv_heads=2, d_head=16, d_ffn=64),
        audio_codec=tiny_codec(),
        image_vq=tiny_image_vq(),
        vision=tiny_vit(d_out=64),
    )


def nano() -> ModelConfig:
    """The default: the decoder of SmolLM2-135M with our streams and heads.

    Only its text is trained so far; until then its other parts are light, so that untrained streams cost little.
    """
    width = 576
    return ModelConfig(
        name="nano",
        decoder=DecoderConfig(
            d_model=width, num_layers=30, num_heads=9, num_kv_heads=3, d_head=64, d_ffn=1536, rope_theta=100_000.0
        ),
        vocab=VocabConfig(text=49_152, image=light_image_vq().codebook_size),
        tied_text_head=True,
        audio=AudioVocabConfig(),
        encoding=EncodingConfig(),
        chat=CHAT,
        text_sampling=TEXT_SAMPLING,
        audio_sampling=AUDIO_SAMPLING,
        instructions=INSTRUCTIONS,
        tick=TickConfig(),
        abilities=TEXT_ONLY,
        audio_codec=speech_codec(),
        image_vq=light_image_vq(),
        vision=light_vit(d_out=width),
        audio_encoder=whisper_tiny_encoder(d_out=width),
    )


def omniweave_80b() -> ModelConfig:
    """96 layers of width 8,192. SwiGLU has three matrices, so d_ffn is 8/3 of the width, in steps of 256."""
    width = 8_192
    return ModelConfig(
        name="omniweave_80b",
        decoder=DecoderConfig(
            d_model=width, num_layers=96, num_heads=64, num_kv_heads=64, d_head=128, d_ffn=22_016, rope_theta=500_000.0
        ),
        vocab=VocabConfig(text=128_000, image=omniweave_image_vq().codebook_size),
        tied_text_head=True,
        audio=AudioVocabConfig(),
        encoding=EncodingConfig(position_dim=128, time_dim=128),
        chat=CHAT,
        text_sampling=TEXT_SAMPLING,
        audio_sampling=AUDIO_SAMPLING,
        instructions=INSTRUCTIONS,
        tick=TickConfig(cache_positions=8_192),
        abilities=EVERYTHING,
        audio_codec=seed_codec(),
        image_vq=omniweave_image_vq(),
        vision=seed_vit(d_out=width),
        audio_encoder=seed_audio_encoder(d_out=width),
    )


def gpt4o_13b() -> ModelConfig:
    """64 layers of width 4,096, one-table codebooks: the smaller of the two full-duplex designs."""
    return _full_duplex("gpt4o_13b", width=4_096, num_layers=64, d_ffn=11_008)


def gpt4o_230b() -> ModelConfig:
    """The same design at 230 billion parameters: 120 layers of width 12,288."""
    return _full_duplex("gpt4o_230b", width=12_288, num_layers=120, d_ffn=32_768)


def _full_duplex(name: str, width: int, num_layers: int, d_ffn: int) -> ModelConfig:
    num_heads = width // 128
    return ModelConfig(
        name=name,
        decoder=DecoderConfig(
            d_model=width,
            num_layers=num_layers,
            num_heads=num_heads,
            num_kv_heads=num_heads,
            d_head=128,
            d_ffn=d_ffn,
            rope_theta=500_000.0,
        ),
        vocab=VocabConfig(text=200_019, image=seed_image_vq().codebook_size),
        tied_text_head=False,
        audio=AudioVocabConfig(factors=(65_536,)),
        encoding=EncodingConfig(position_dim=128, time_dim=128),
        chat=CHAT,
        text_sampling=TEXT_SAMPLING,
        audio_sampling=AUDIO_SAMPLING,
        instructions=INSTRUCTIONS,
        tick=TickConfig(cache_positions=32_768),
        abilities=EVERYTHING,
        audio_codec=seed_codec(),
        image_vq=seed_image_vq(),
        vision=seed_vit(d_out=width),
    )


PRESETS: dict[str, Callable[[], ModelConfig]] = {
    preset.__name__: preset for preset in (tiny, nano, omniweave_80b, gpt4o_13b, gpt4o_230b)
}
