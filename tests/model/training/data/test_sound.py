"""Noise, rooms, levels and what augmentation does to a clip and to the times of its words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.training.data.augment import AugmentConfig, at_level, at_speed, augmented, telephone, with_noise
from model.training.data.clip import CLIP_RATE_HZ, SpeechClip, Word
from model.training.data.level import LEVEL_DB, level_db, levelled, loudest
from model.training.data.noise import NoiseKind, babble, noise
from model.training.data.rooms import SPEED_OF_SOUND_M_S, Room, any_room, impulse_response, in_room
from model.training.data.seeding import random_for, seed_of
from model.training.data.voice_activity import VoiceActivity


def tone(hz: float = 440.0, seconds: float = 1.0, strength: float = 0.3) -> np.ndarray:
    return (strength * np.sin(2 * np.pi * hz * np.arange(int(seconds * CLIP_RATE_HZ)) / CLIP_RATE_HZ)).astype(
        np.float32
    )


def clip() -> SpeechClip:
    pcm = np.concatenate([np.zeros(12_000, np.float32), tone(seconds=0.5), np.zeros(12_000, np.float32)])
    return SpeechClip(pcm, "beep", "nobody", "fake", (Word(500_000, 1_000_000, "beep"),))


def test_seeds_tell_their_parts_apart() -> None:
    assert len({seed_of("a", 1), seed_of("a1"), seed_of("a", "1"), seed_of(1, "a"), seed_of("a", 11)}) == 5
    assert seed_of("a", 1) == seed_of("a", 1)


@pytest.mark.parametrize("kind", list(NoiseKind))
def test_noise_is_a_function_of_its_seed_at_the_level_of_clips(kind: NoiseKind) -> None:
    one, again, other = (noise(kind, 30_001, random_for(seed)) for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert one.shape == (30_001,)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.abs(one).max() <= 1.0
    assert level_db(one) <= LEVEL_DB + 0.01
    assert level_db(one) > LEVEL_DB - 15


@pytest.mark.parametrize(("kind", "slope"), [(NoiseKind.WHITE, 0.0), (NoiseKind.PINK, -1.0), (NoiseKind.BROWN, -2.0)])
def test_coloured_noise_has_the_slope_of_its_colour(kind: NoiseKind, slope: float) -> None:
    power = np.square(np.abs(np.fft.rfft(noise(kind, 10 * CLIP_RATE_HZ, random_for(3)))))
    low, high = power[1_000:2_000].mean(), power[40_000:80_000].mean()  # 100 to 200 Hz against 4 to 8 kHz
    assert np.log(high / low) / np.log(40) == pytest.approx(slope, abs=0.15)


def test_hum_has_its_power_at_harmonics_of_the_mains() -> None:
    power = np.square(np.abs(np.fft.rfft(noise(NoiseKind.HUM, 10 * CLIP_RATE_HZ, random_for(4)))))
    assert power[300:10_000].sum() > 0.99 * power.sum()  # 30 Hz to 1 kHz


def test_no_noise_of_no_length() -> None:
    with pytest.raises(ValueError, match="not 0"):
        noise(NoiseKind.WHITE, 0, random_for(1))


def test_babble_holds_every_voice() -> None:
    mixed = babble([tone(300.0), tone(900.0, 0.3)], CLIP_RATE_HZ, random_for(5))
    power = np.square(np.abs(np.fft.rfft(mixed)))
    assert power[290:310].sum() > 0.05 * power.sum()
    assert power[850:950].sum() > 0.05 * power.sum()


@pytest.mark.parametrize("voices", [[], [np.zeros(0, np.float32)]])
def test_babble_of_nobody_is_refused(voices: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="babble needs"):
        babble(voices, 100, random_for(1))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.001, 1.0), st.integers(1, 48_000))
def test_levelled_clips_have_one_level_and_never_clip(strength: float, num_samples: int) -> None:
    out = levelled(tone(strength=strength)[:num_samples])
    assert np.abs(out).max(initial=0.0) <= 1.0
    if num_samples >= 4_800:
        assert level_db(out) == pytest.approx(LEVEL_DB, abs=0.2)


def test_pauses_do_not_count_for_the_level() -> None:
    assert level_db(clip().pcm) == pytest.approx(level_db(tone()), abs=0.2)


def test_silence_stays_silence() -> None:
    silence = np.zeros(1_000, np.float32)
    assert np.array_equal(levelled(silence), silence)
    assert np.array_equal(at_level(silence), silence)
    assert np.array_equal(with_noise(silence, tone()[:1_000], 10.0), silence)


def test_the_loudest_stretch_is_found() -> None:
    assert np.array_equal(loudest(clip().pcm, 12_000), clip().pcm[12_000:24_000])
    assert len(loudest(clip().pcm, 10**6)) == len(clip().pcm)


def test_a_room_keeps_the_direct_sound_in_place_and_adds_what_comes_later() -> None:
    room = Room((5.0, 4.0, 3.0), 0.3, (1.0, 1.0, 1.5), (3.0, 2.0, 1.5))
    response = impulse_response(room, random_for(6))
    assert response[0] == 1.0
    assert len(response) == int(room.reverberation_s * CLIP_RATE_HZ)
    click = np.zeros(12_000, np.float32)
    click[100] = 0.5
    heard = in_room(click, response)
    assert len(heard) == len(click)
    assert heard[100] == pytest.approx(0.5, abs=1e-4)
    assert np.abs(heard[:100]).max() < 1e-4
    assert np.square(heard[101:]).sum() > 0.01


def test_the_first_reflection_arrives_when_geometry_says() -> None:
    room = Room((8.0, 8.0, 8.0), 0.5, (4.0, 4.0, 1.0), (4.0, 5.0, 1.0))
    response = impulse_response(room, random_for(7))
    late_m = np.hypot(1.0, 2.0) - 1.0  # by the floor, one metre below both
    first = int(np.flatnonzero(response[1:])[0]) + 1
    assert first == round(late_m / SPEED_OF_SOUND_M_S * CLIP_RATE_HZ)
    assert response[first] == pytest.approx(np.sqrt(0.5) / np.hypot(1.0, 2.0), rel=1e-3)


def test_harder_walls_ring_longer() -> None:
    def energy_after_50_ms(absorption: float) -> float:
        response = impulse_response(Room((6.0, 5.0, 3.0), absorption, (1.0, 1.0, 1.0), (4.0, 3.0, 1.5)), random_for(8))
        return float(np.square(response[1_200:]).sum())

    assert energy_after_50_ms(0.2) > 3 * energy_after_50_ms(0.6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_any_room_is_a_possible_room(seed: int) -> None:
    response = impulse_response(any_room(random_for(seed)), random_for(seed))
    assert np.isfinite(response).all()
    assert response[0] == 1.0


@pytest.mark.parametrize(
    ("absorption", "mouth", "wrong"),
    [(0.0, (1, 1, 1), "absorb"), (1.0, (1, 1, 1), "absorb"), (0.5, (9, 1, 1), "outside")],
)
def test_impossible_rooms_are_refused(absorption: float, mouth: tuple[float, float, float], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Room((3.0, 3.0, 3.0), absorption, mouth, (1.0, 1.0, 1.0))


def test_speed_moves_pitch_and_words_alike() -> None:
    fast = at_speed(clip(), 1.25)
    assert len(fast.pcm) == pytest.approx(len(clip().pcm) / 1.25, abs=2)
    assert fast.words == (Word(400_000, 800_000, "beep"),)
    beep = fast.pcm[9_600 + 1_200 : 19_200 - 1_200]
    assert np.argmax(np.abs(np.fft.rfft(beep))) * CLIP_RATE_HZ / len(beep) == pytest.approx(550, abs=5)


@pytest.mark.parametrize("speed", [0.0, 0.4, 3.0])
def test_speeds_that_are_no_speech_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=str(speed)):
        at_speed(clip(), speed)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0])
def test_noise_lies_as_far_below_speech_as_was_asked(snr_db: float) -> None:
    disturbance = noise(NoiseKind.PINK, CLIP_RATE_HZ, random_for(9))
    mixed = with_noise(tone(), disturbance, snr_db)
    assert level_db(tone()) - level_db(mixed - tone()) == pytest.approx(snr_db, abs=0.1)


def test_a_telephone_carries_nothing_above_four_kilohertz() -> None:
    assert level_db(telephone(tone(6_000.0))) < level_db(tone(6_000.0)) - 30
    assert level_db(telephone(tone(1_000.0))) == pytest.approx(level_db(tone(1_000.0)), abs=0.5)
    assert len(telephone(tone())) == len(tone())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200))
def test_augmented_clips_are_sound_files_with_true_word_times_and_repeat_by_seed(seed: int) -> None:
    one, again = (augmented(clip(), random_for(seed), others=[tone(700.0)]) for _ in range(2))
    assert np.array_equal(one.pcm, again.pcm)
    assert one.pcm.dtype == np.float32
    assert np.isfinite(one.pcm).all()
    assert 0.0 < np.abs(one.pcm).max() <= 1.0
    assert one.words[0].end_us <= one.duration_us
    assert (one.words[0].end_us - one.words[0].start_us) / one.duration_us == pytest.approx(1 / 3, rel=0.01)


def test_without_any_share_only_the_level_changes() -> None:
    config = AugmentConfig(speed_share=0, room_share=0, noise_share=0, telephone_share=0, level_db=(-30.0, -30.0))
    out = augmented(clip(), random_for(1), config)
    assert level_db(out.pcm) == pytest.approx(-30.0, abs=0.01)
    assert out.words == clip().words


def test_shares_beyond_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not 1\.5"):
        AugmentConfig(room_share=1.5)


def test_nobody_speaks_in_noise_or_silence() -> None:
    activity = VoiceActivity()
    assert activity.voiced(np.zeros(CLIP_RATE_HZ, np.float32)) == 0.0
    assert activity.voiced(noise(NoiseKind.WHITE, CLIP_RATE_HZ, random_for(2))) < 0.1
    assert activity.spans(np.zeros(CLIP_RATE_HZ, np.float32)) == []
    assert activity.voiced(np.zeros(0, np.float32)) == 0.0


def test_spans_join_over_short_pauses_and_end_with_the_clip() -> None:
    class Scripted(VoiceActivity):
        def windows(self, pcm: np.ndarray) -> np.ndarray:
            return np.array([0, 0.9, 0.9, 0, 0, 0.8, 0, 0, 0, 0, 0, 0, 0.9], np.float32)

    spans = Scripted().spans(np.zeros(CLIP_RATE_HZ * 400 // 1_000, np.float32), max_pause_us=100_000)
    assert [(span.start_us, span.end_us) for span in spans] == [(32_000, 192_000), (384_000, 400_000)]
