import numpy as np
import pytest

from model.training.data.clip import Split
from model.training.data.compose import scattered, shown
from model.training.data.frames import ANSWERS, NO_ANSWER, Question, familiar_pictures, frame, picture_frame
from model.training.data.named_pictures import FAMILIAR, NamedPicture, picture_split, subject_of
from model.training.data.seeding import random_for
from model.training.data.webcam import empty_room, filmed


def discs(style: str = "modern") -> list[NamedPicture]:
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[8:24, 8:24] = (200, 30, 30, 255)
    return [NamedPicture(name, style, rgba) for name in FAMILIAR]


# --- which pictures may be trained on ---


def test_a_subject_is_held_out_in_all_its_styles_and_skin_tones():
    assert subject_of("Thumbs up-medium-dark") == subject_of("thumbs-up-light") == "thumbs-up"
    names = ["thumbs-up", "thumbs-up-dark", "thumbs-up-default", "thumbs-up-medium-light"]
    assert len({picture_split(name) for name in names}) == 1


def test_about_one_subject_in_ten_is_held_out():
    held_out = sum(picture_split(f"subject-{number}") is Split.EVAL for number in range(2_000))
    assert 150 <= held_out <= 250


def test_no_familiar_subject_is_held_out():
    assert len(FAMILIAR) == len(set(FAMILIAR)) == 50
    assert {picture_split(name) for name in FAMILIAR} == {Split.TRAIN}


# --- pictures on a ground ---


def test_picture_is_shown_whole_on_white():
    rgb = shown(discs()[0].rgba, 16)
    assert rgb.shape == (16, 16, 3)
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[8, 8].tolist() == [200, 30, 30]


def test_colours_under_transparent_pixels_never_show():
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[..., :3] = 77
    assert (shown(rgba, 12) == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (128, 64), (3, 200)])
def test_pictures_of_any_size_can_be_shown_and_scattered(shape):
    rgba = np.full((*shape, 4), 255, np.uint8)
    assert shown(rgba, 24).shape == scattered(rgba, 24, random_for("any size")).shape == (24, 24, 3)


def test_scattered_pictures_differ_and_come_again():
    rgba = discs()[0].rgba
    first, again, other = (scattered(rgba, 24, random_for("scatter", seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# --- frames ---


def test_card_stands_out_from_the_room():
    card = np.zeros((64, 64, 3), np.uint8)
    card[:] = (255, 0, 255)
    for seed in range(10):
        film = filmed(card, 48, random_for("film", seed)).astype(int)
        assert (film[..., 0] - film[..., 1] > 60)[16:32, 16:32].mean() > 0.9


def test_frames_are_functions_of_their_index():
    first, again, other = (frame(index, 0, discs(), 48) for index in (7, 7, 8))
    assert np.array_equal(first.rgb, again.rgb)
    assert first.answers == again.answers
    assert not np.array_equal(first.rgb, other.rgb)
    assert empty_room(48, random_for("room")).shape == (48, 48, 3)


def test_every_answer_is_one_of_its_questions_answers():
    asked = set()
    for index in range(150):
        one = frame(index, 0, discs(), 32)
        for question, label in zip(Question, one.labels(), strict=True):
            assert (label == NO_ANSWER) == (question not in one.answers)
            if label != NO_ANSWER:
                assert ANSWERS[question][label] == one.answers[question]
        asked |= set(one.answers)
    assert asked == set(Question)


def test_frames_of_pictures_name_them():
    one = picture_frame(discs()[4], 0, 0, 32)
    assert one.answers[Question.PICTURE] == FAMILIAR[4]


def test_flat_style_of_every_second_subject_is_kept_unseen():
    seen, unseen = familiar_pictures([*discs("modern"), *discs("flat"), NamedPicture("moai", "flat", discs()[0].rgba)])
    assert len(seen) == 75
    assert len(unseen) == 25
    assert {picture.style for picture in unseen} == {"flat"}
    assert not {picture.name for picture in unseen} & {picture.name for picture in seen if picture.style == "flat"}


def test_a_familiar_picture_that_is_missing_is_named():
    with pytest.raises(ValueError, match="no picture of"):
        [frame(index, 0, discs()[:1], 16) for index in range(50)]
