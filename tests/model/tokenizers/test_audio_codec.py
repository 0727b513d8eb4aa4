import dataclasses

import numpy as np
import pytest
import torch

from model.init import init_weights
from model.tokenizers.audio_codec import (
    AudioCodec,
    CodecConfig,
    light_codec,
    seed_codec,
    speech_codec,
    tiny_codec,
    tiny_speech_codec,
)
from model.tokenizers.quantizer import QuantizerKind
from model.tokenizers.streaming import CausalConv1d, StreamLSTM, reset_row
from model.tokenizers.wave_codec import WaveCodecConfig
from streams.resample import StreamResampler
from streams.types import SAMPLES_PER_TICK

KINDS = list(QuantizerKind)
CODECS = {
    "samples, residual": tiny_codec(QuantizerKind.RESIDUAL),
    "samples, grid": tiny_codec(QuantizerKind.GRID),
    "mel bands": tiny_speech_codec(),
}


@pytest.fixture(scope="module", params=list(CODECS))
def codec(request) -> AudioCodec:
    built = AudioCodec(CODECS[request.param])
    init_weights(built, 0)
    return built.eval()


def sound(batch: int, num_frames: int, seed: int = 0) -> torch.Tensor:
    """Noise whose level changes from frame to frame, so that codes do."""
    noise = torch.randn(batch, num_frames, SAMPLES_PER_TICK, generator=torch.Generator().manual_seed(seed))
    return (noise * torch.linspace(0.1, 1.0, num_frames)[:, None]).flatten(1).clamp(-1, 1)


def frame(pcm: torch.Tensor, index: int) -> torch.Tensor:
    return pcm[:, None, index * SAMPLES_PER_TICK : (index + 1) * SAMPLES_PER_TICK]


def test_frame_is_four_codes_and_codes_are_a_frame(codec):
    codes, _ = codec.encode_frame(codec.encoder_state(2), frame(sound(2, 1), 0))
    pcm, _ = codec.decode_frame(codec.decoder_state(2), codes)
    assert codes.shape == (2, 4)
    assert pcm.shape == (2, SAMPLES_PER_TICK)
    assert -1.0 <= pcm.min() < pcm.max() <= 1.0


def test_frames_one_at_a_time_give_the_codes_and_samples_of_the_whole_file(codec):
    pcm = sound(2, 4)
    codes = codec.encode(pcm)
    decoded = codec.decode(codes)
    encoder_state, decoder_state = codec.encoder_state(2), codec.decoder_state(2)
    for index in range(4):
        frame_codes, encoder_state = codec.encode_frame(encoder_state, frame(pcm, index))
        frame_pcm, decoder_state = codec.decode_frame(decoder_state, frame_codes)
        assert torch.equal(frame_codes, codes[:, index])
        assert torch.equal(frame_pcm[:, None], frame(decoded, index))


def test_training_pass_over_the_whole_sequence_agrees_with_the_frames(codec):
    pcm = sound(2, 4)
    with torch.no_grad():
        out = codec(pcm[:, None])
    codes = codec.encode(pcm)
    assert torch.equal(out.codes_BFK, codes)
    torch.testing.assert_close(out.pcm_B1T[:, 0].clamp(-1, 1), codec.decode(codes), atol=1e-4, rtol=0)


def test_latents_of_frames_and_whole_sequence_agree_within_rounding(codec):
    pcm = sound(1, 3)
    with torch.no_grad():
        whole = codec.encoder(pcm[:, None])
        state = codec.encoder_state()
        for index in range(3):
            z, state = codec.encoder.step(frame(pcm, index), state)
            torch.testing.assert_close(z[:, 0], whole[:, index], atol=1e-5, rtol=0)


def test_codes_follow_the_sound_and_sound_follows_the_codes(codec):
    codes = codec.encode(sound(1, 6))
    assert len({tuple(frame_codes) for frame_codes in codes[0].tolist()}) > 1
    other = codec.encode(sound(1, 6, seed=1))
    assert not torch.equal(codes, other)
    assert not torch.equal(codec.decode(codes), codec.decode(other))


def test_codes_remember_earlier_frames_but_never_see_later_ones(codec):
    with torch.no_grad():
        pcm, changed = sound(1, 4), sound(1, 4)
        changed[:, 2 * SAMPLES_PER_TICK :] *= -0.5
        z, z_changed = codec.encoder(pcm[:, None]), codec.encoder(changed[:, None])
        torch.testing.assert_close(z[:, :2], z_changed[:, :2], atol=1e-6, rtol=0)
        assert not torch.allclose(z[:, 2], z_changed[:, 2])
        forgot, _ = codec.encoder.step(frame(pcm, 3), codec.encoder_state())
        assert not torch.allclose(z[:, 3], forgot[:, 0], atol=1e-6)


@pytest.mark.parametrize("company", [(0, 1, 2), (2, 0, 1), (1, 1, 0)])
def test_session_gets_the_same_bits_alone_and_in_any_batch(codec, company):
    pcm = sound(3, 3)
    together_codes = codec.encode(pcm[list(company)])
    together_pcm = codec.decode(together_codes)
    for place, row in enumerate(company):
        codes = codec.encode(pcm[row : row + 1])
        assert torch.equal(together_codes[place], codes[0])
        assert torch.equal(together_pcm[place], codec.decode(codes)[0])


def test_not_a_number_in_one_session_stays_there(codec):
    pcm = sound(2, 2)
    clean = codec.encode(pcm)
    poisoned = pcm.clone()
    poisoned[0] = float("nan")
    assert torch.equal(codec.encode(poisoned)[1], clean[1])


def test_reset_session_starts_as_new_and_the_other_goes_on(codec):
    pcm = sound(2, 2)
    _, state = codec.encode_frame(codec.encoder_state(2), frame(pcm, 0))
    codes, _ = codec.encode_frame(reset_row(state, 0), frame(pcm, 1))
    new, _ = codec.encode_frame(codec.encoder_state(1), frame(pcm, 1)[:1])
    assert torch.equal(codes[0], new[0])
    assert torch.equal(codes[1], codec.encode(pcm)[1, 1])


def test_state_does_not_grow(codec):
    def num_elements(state) -> int:
        return state.numel() if isinstance(state, torch.Tensor) else sum(num_elements(part) for part in state)

    state = codec.encoder_state()
    before = num_elements(state)
    for _ in range(3):
        _, state = codec.encode_frame(state, frame(sound(1, 1), 0))
    assert num_elements(state) == before


@pytest.mark.parametrize("kind", KINDS)
def test_folding_weight_norm_changes_no_bit(kind):
    codec = AudioCodec(tiny_codec(kind))
    init_weights(codec, 0)
    codec.eval()
    pcm = sound(1, 2)
    codes = codec.encode(pcm)
    decoded = codec.decode(codes)
    codec.fold_weight_norm()
    assert torch.equal(codec.encode(pcm), codes)
    assert torch.equal(codec.decode(codes), decoded)


def test_gradients_reach_every_parameter():
    codec = AudioCodec(tiny_codec(QuantizerKind.RESIDUAL))
    init_weights(codec, 0)
    out = codec(sound(1, 2)[:, None])
    (out.pcm_B1T.square().mean() + out.commitment_loss).backward()
    missing = [name for name, p in codec.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


def test_last_frame_is_filled_with_silence(codec):
    pcm = sound(1, 2)[:, : SAMPLES_PER_TICK + 100]
    filled = torch.nn.functional.pad(pcm, (0, SAMPLES_PER_TICK - 100))
    assert torch.equal(codec.encode(pcm), codec.encode(filled))


def test_frame_of_another_length_is_refused(codec):
    with pytest.raises(ValueError, match=r"\[1, 1, 5999\]"):
        codec.encode_frame(codec.encoder_state(), torch.zeros(1, 1, 5999))


def test_code_out_of_range_is_refused_before_anything_is_decoded(codec):
    with pytest.raises(ValueError, match="got 256"):
        codec.decode_frame(codec.decoder_state(), torch.tensor([[0, 0, 256, 0]]))


# --- sound as it comes ---


def one_second(rate_hz: int) -> np.ndarray:
    return np.sin(2 * np.pi * 300 * np.arange(rate_hz) / rate_hz).astype(np.float32)


STRANGE = {
    "8 kHz": (8_000, one_second(8_000)),
    "48 kHz": (48_000, one_second(48_000)),
    "stereo": (24_000, np.stack([one_second(24_000), -0.5 * one_second(24_000)], axis=1)),
    "clipped": (24_000, np.clip(50.0 * one_second(24_000), -1.0, 1.0)),
    "far too loud": (24_000, 1e6 * one_second(24_000)),
    "silent": (24_000, np.zeros(24_000, np.float32)),
    "not a number": (24_000, np.where(np.arange(24_000) % 100 == 7, np.nan, one_second(24_000)).astype(np.float32)),
}


@pytest.mark.parametrize("name", STRANGE)
def test_any_sound_that_passes_the_resampler_is_coded_and_decoded(codec, name):
    rate_hz, pcm = STRANGE[name]
    resampler = StreamResampler(rate_hz)
    heard = np.concatenate((resampler.push(pcm), resampler.flush()))
    assert len(heard) == pytest.approx(4 * SAMPLES_PER_TICK, abs=10)
    codes = codec.encode(torch.from_numpy(heard[: 4 * SAMPLES_PER_TICK])[None])
    assert codes.shape == (1, 4, 4)
    assert 0 <= int(codes.min()) <= int(codes.max()) < codec.config.quantizer.codebook_size
    assert torch.isfinite(codec.decode(codes)).all()


# --- the seed's figures ---


def test_seed_codec_has_the_structure_of_the_seed():
    with torch.device("meta"):
        codec = AudioCodec(seed_codec())
    convs = [part.conv for part in codec.encoder.body.parts if isinstance(part, CausalConv1d)]
    assert [conv.kernel_size[0] for conv in (convs[0], convs[-1])] == [7, 7]
    assert [conv.out_channels for conv in convs[:-1]] == [32, 64, 128, 256, 512]
    assert [conv.stride[0] for conv in convs] == [1, 2, 4, 5, 10, 1]
    (lstm,) = [part.lstm for part in codec.encoder.body.parts if isinstance(part, StreamLSTM)]
    assert lstm.num_layers == 2
    assert codec.quantizer.codebooks_KVD.shape[:2] == (4, 65_536)


def test_speech_codec_has_the_sizes_it_names():
    with torch.device("meta"):
        codec = AudioCodec(speech_codec())
    parts = (codec.encoder, codec.decoder.bands, codec.decoder.vocoder)
    millions = [sum(parameter.numel() for parameter in part.parameters()) / 1e6 for part in parts]
    assert millions == pytest.approx([4.4, 9.8, 4.0], abs=0.06)
    assert sum(codebook_bits(config) for config in (speech_codec(), light_codec())) == 2 * 64


def codebook_bits(config: CodecConfig) -> int:
    return config.quantizer.num_codebooks * (config.quantizer.codebook_size.bit_length() - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_codec_makes_one_vector_of_fifteen_latents(kind):
    config = seed_codec(kind)
    assert config.wave.latents_per_frame == 15
    assert (config.quantizer.num_codebooks, config.quantizer.codebook_size) == (4, 65_536)


def test_strides_of_the_original_proposal_are_refused():
    with pytest.raises(ValueError, match="320"):
        dataclasses.replace(tiny_codec().wave, strides=(2, 4, 5, 8))


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="channels=0"):
        WaveCodecConfig(channels=0)
