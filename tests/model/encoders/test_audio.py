import dataclasses

import pytest
import torch

from model.encoders.audio import (
    AudioEncoder,
    AudioEncoderConfig,
    Pooling,
    seed_audio_encoder,
    tiny_audio_encoder,
    whisper_base_encoder,
    whisper_tiny_encoder,
)
from model.encoders.audio_front import MelFront, WaveFront
from model.init import init_weights
from model.tokenizers.streaming import reset_row
from streams.types import SAMPLES_PER_TICK

CONFIG = dataclasses.replace(tiny_audio_encoder(d_out=24), positions_per_frame=2)
MEL_CONFIG = dataclasses.replace(CONFIG, wave=None, mel=MelFront(bands=8), pooling=Pooling.STACK)


@pytest.fixture(scope="module", params=[CONFIG, MEL_CONFIG], ids=["wave", "mel"])
def encoder(request) -> AudioEncoder:
    built = AudioEncoder(request.param)
    init_weights(built, 0)
    return built.eval()


def sound(batch: int, num_frames: int) -> torch.Tensor:
    return torch.randn(batch, num_frames * SAMPLES_PER_TICK, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)


def frame(pcm: torch.Tensor, index: int) -> torch.Tensor:
    return pcm[:, None, index * SAMPLES_PER_TICK : (index + 1) * SAMPLES_PER_TICK]


def test_frame_becomes_a_few_vectors_of_the_decoders_width(encoder):
    features, _ = encoder.encode_frame(encoder.encoder_state(2), frame(sound(2, 1), 0))
    assert features.shape == (2, 2, 24)


def test_frames_one_at_a_time_give_the_features_of_the_whole_file(encoder):
    pcm = sound(2, 5)
    whole = encoder.encode(pcm)
    state = encoder.encoder_state(2)
    for index in range(5):
        features, state = encoder.encode_frame(state, frame(pcm, index))
        assert torch.equal(features, whole[:, 2 * index : 2 * index + 2])


def test_training_pass_over_the_whole_sequence_agrees_within_rounding(encoder):
    pcm = sound(2, 7)  # longer than the context, so that it slides
    with torch.no_grad():
        torch.testing.assert_close(encoder(pcm[:, None]), encoder.encode(pcm), atol=1e-5, rtol=0)


def test_features_never_see_later_frames(encoder):
    pcm, changed = sound(1, 4), sound(1, 4)
    changed[:, 2 * SAMPLES_PER_TICK :] *= -1
    with torch.no_grad():
        before, after = encoder(pcm[:, None]), encoder(changed[:, None])
    torch.testing.assert_close(before[:, :4], after[:, :4], atol=1e-6, rtol=0)
    assert not torch.allclose(before[:, 4:6], after[:, 4:6])


def test_layers_look_back_no_further_than_the_context(encoder):
    """Two layers of two frames, and convolutions that reach into one frame before: nothing older than five frames."""
    pcm, changed = sound(1, 8), sound(1, 8)
    changed[:, :SAMPLES_PER_TICK] *= -1
    before, after = encoder.encode(pcm), encoder.encode(changed)
    assert not torch.allclose(before[:, 2 * 4 : 2 * 5], after[:, 2 * 4 : 2 * 5])
    torch.testing.assert_close(before[:, 2 * 6 :], after[:, 2 * 6 :], atol=1e-6, rtol=0)


def test_start_of_a_stream_is_not_silence_that_was_heard(encoder):
    pcm = sound(1, 1)
    fresh = encoder.encode(pcm)
    after_silence = encoder.encode(torch.cat((torch.zeros_like(pcm), pcm), dim=-1))
    assert not torch.allclose(fresh, after_silence[:, 2:])


@pytest.mark.parametrize("company", [(0, 1, 2), (2, 0, 1)])
def test_session_gets_the_same_bits_alone_and_in_any_batch(encoder, company):
    pcm = sound(3, 3)
    together = encoder.encode(pcm[list(company)])
    for place, row in enumerate(company):
        assert torch.equal(together[place], encoder.encode(pcm[row : row + 1])[0])


def test_reset_session_starts_as_new_and_the_other_goes_on(encoder):
    pcm = sound(2, 2)
    _, state = encoder.encode_frame(encoder.encoder_state(2), frame(pcm, 0))
    features, _ = encoder.encode_frame(reset_row(state, 0), frame(pcm, 1))
    assert torch.equal(features[:1], encoder.encode(pcm[:1, SAMPLES_PER_TICK:]))
    assert torch.equal(features[1], encoder.encode(pcm)[1, 2:])


def test_state_does_not_grow(encoder):
    def shapes(state):
        return state.shape if isinstance(state, torch.Tensor) else [shapes(part) for part in state]

    state = encoder.encoder_state()
    before = shapes(state)
    for index in range(5):
        _, state = encoder.encode_frame(state, frame(sound(1, 5), index))
    assert shapes(state) == before


@pytest.mark.parametrize("config", [CONFIG, MEL_CONFIG], ids=["wave", "mel"])
def test_gradients_reach_every_parameter(config: AudioEncoderConfig):
    encoder = AudioEncoder(config)
    init_weights(encoder, 0)
    encoder(sound(1, 3)[:, None]).square().sum().backward()
    missing = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


def test_frame_of_another_length_is_refused(encoder):
    with pytest.raises(ValueError, match=r"\[1, 1, 12000\]"):
        encoder.encode_frame(encoder.encoder_state(), torch.zeros(1, 1, 12_000))


# --- presets ---


def test_seed_encoder_has_the_parameters_of_the_seed():
    with torch.device("meta"):
        encoder = AudioEncoder(seed_audio_encoder(d_out=8192))
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in encoder.named_children()}
    assert sizes["front"] == pytest.approx(50e6, rel=0.03)
    assert sizes["body"] == pytest.approx(300e6, rel=0.03)
    assert sizes["projection"] == 1024 * 8192
    config = encoder.config
    assert (config.width, config.num_layers, config.num_heads) == (1024, 24, 16)


@pytest.mark.parametrize("preset", [seed_audio_encoder, whisper_tiny_encoder, whisper_base_encoder, tiny_audio_encoder])
def test_presets_make_twelve_latents_of_a_frame(preset):
    assert preset(64).latents_per_frame == 12


def test_strides_must_divide_the_frame():
    with pytest.raises(ValueError, match="6000 samples"):
        WaveFront(channels=(4, 4, 8, 8), closing_kernel=3, strides=(7, 4, 5, 5))


def test_every_stride_needs_a_width():
    with pytest.raises(ValueError, match=r"strides \(5, 4\)"):
        WaveFront(channels=(4, 4, 8, 8), closing_kernel=3, strides=(5, 4))


def test_one_front_end_is_needed():
    with pytest.raises(ValueError, match="wave or mel"):
        dataclasses.replace(CONFIG, mel=MelFront())


def test_latents_must_stack_evenly():
    with pytest.raises(ValueError, match="12 latents do not stack into 5"):
        dataclasses.replace(MEL_CONFIG, positions_per_frame=5)
