"""Exchanges about what is shown to the camera, and drawing on request."""

from model.training.data.text.numerals import cardinal
from model.training.simulation.pictures import COLORED, COLORS, describe, plural, with_article
from model.training.simulation.scene import NotNow, Scene
from model.training.simulation.script import AnyLine, Picture, PictureKind

DRAWN_KINDS = tuple(kind for kind in PictureKind if kind is not PictureKind.WORD)


def see(scene: Scene) -> list[AnyLine]:
    """Something is held to the camera and asked about, at times while it is being raised."""
    _needs_camera(scene)
    return see_given(scene, scene.picture())


def see_given(scene: Scene, picture: Picture) -> list[AnyLine]:
    """The same with a given picture."""
    kind = picture.kind
    shown = scene.show(picture)
    slots = {"things": plural(picture.name)} if kind is PictureKind.COUNT else {}
    asked = scene.request(f"see_{_asked_as(kind)}", **slots)
    return [shown, asked, scene.reply(*_answers(picture), keys=_name_keys(picture))]


def _asked_as(kind: PictureKind) -> PictureKind:
    """An emoji is asked for as any other thing."""
    return PictureKind.THING if kind is PictureKind.EMOJI else kind


def _answers(picture: Picture) -> list[str]:
    match picture.kind:
        case PictureKind.COLOR:
            return [f"That's {picture.name}.", f"{picture.name}.", f"It's {picture.name}."]
        case PictureKind.SHAPE:
            name = with_article(picture.name)
            return [f"That's {name}.", f"It's {name}.", f"I see {describe(picture)}."]
        case PictureKind.COUNT:
            number = cardinal(picture.count)
            return [f"{number}.", f"I see {number} {plural(picture.name)}.", f"There are {number}."]
        case PictureKind.DIGIT:
            number = cardinal(int(picture.name))
            return [f"{number}.", f"That's the number {number}.", f"It's a {number}."]
        case PictureKind.WORD:
            return [f"It says {picture.name}.", f"The word is {picture.name}.", f"I read: {picture.name}."]
        case PictureKind.THING | PictureKind.EMOJI:
            return [
                f"That's {describe(picture)}.",
                f"I see {describe(picture)}.",
                f"It looks like {describe(picture)}.",
            ]


def _name_keys(picture: Picture) -> tuple[str, ...]:
    """What an answer to the plain question about a picture must say."""
    match picture.kind:
        case PictureKind.COUNT:
            return (cardinal(picture.count),)
        case PictureKind.DIGIT:
            return (cardinal(int(picture.name)),)
        case _:
            return (picture.name,)


def _view_keys(picture: Picture) -> tuple[str, ...]:
    """What a description of it must say."""
    match picture.kind:
        case PictureKind.COUNT:
            return (cardinal(picture.count), picture.color, f"{picture.name}|{plural(picture.name)}")
        case PictureKind.SHAPE:
            return (picture.color, picture.name)
        case PictureKind.THING if picture.name in COLORED:
            return (picture.color, picture.name)
        case _:
            return _name_keys(picture)


def describe_view(scene: Scene) -> list[AnyLine]:
    _needs_camera(scene)
    picture = scene.picture()
    words = describe(picture)
    asked = [scene.show(picture), scene.request("describe")]
    return [*asked, scene.reply(f"I see {words}.", f"There is {words}.", keys=_view_keys(picture))]


def see_changed(scene: Scene) -> list[AnyLine]:
    """One thing is replaced by another."""
    first = see(scene) if scene.in_view is None else []
    assert scene.in_view is not None, "seen now or earlier"
    before, after = scene.in_view, scene.picture()
    if describe(before) == describe(after):
        raise NotNow("the same again")
    return [
        *first,
        scene.show(after),
        scene.request("see_changed"),
        scene.reply(
            f"First I saw {describe(before)}, now it's {describe(after)}.",
            f"It was {describe(before)}. Now I see {describe(after)}.",
            f"Now it's {describe(after)}.",
            keys=_view_keys(after),
        ),
    ]


def see_before(scene: Scene) -> list[AnyLine]:
    """Asks for what was in view earlier in the session."""
    first: list[AnyLine] = []
    while scene.shown_before is None:
        first += see(scene)
    words, keys = describe(scene.shown_before), _view_keys(scene.shown_before)
    return [
        *first,
        scene.request("see_before"),
        scene.reply(f"You showed me {words}.", f"It was {words}.", f"I saw {words}.", keys=keys),
    ]


def see_nothing(scene: Scene) -> list[AnyLine]:
    """Honest without a camera."""
    if scene.in_view is not None or scene.sees:
        raise NotNow("the camera is on")
    return [
        scene.request("see_nothing"),
        scene.reply(
            "I don't see anything. Is the camera on?", "Your camera is off, so I can't see.", "I see nothing.",
            keys=("don't see|can't see|cannot see|nothing|camera is off|not see",),
        ),
    ]  # fmt: skip


def put_away(scene: Scene) -> list[AnyLine]:
    if scene.in_view is None:
        raise NotNow("nothing is in view")
    return [scene.show(None)]


def narrate(scene: Scene) -> list[AnyLine]:
    """From the command on the agent says what it sees whenever that changes."""
    _needs_camera(scene)
    lines: list[AnyLine] = [
        scene.request("narrate"),
        scene.reply("Okay.", "I'm watching.", "Sure, show me.", keys=("okay|ok|watching|sure|show me|all right",)),
    ]
    for _ in range(int(scene.random.integers(2, 4))):
        picture = scene.picture()
        words = describe(picture)
        lines += [
            scene.show(picture),
            scene.reply(f"{words}.", f"I see {words}.", f"Now {words}.", keys=_view_keys(picture)),
        ]
    stopped = scene.request("stop_narrating")
    return [*lines, stopped, scene.reply("Okay, I stop.", "All right.", "Done.", keys=("okay|ok|stop|all right|done",))]


def draw(scene: Scene) -> list[AnyLine]:
    return draw_given(scene, scene.picture(DRAWN_KINDS))


def draw_given(scene: Scene, picture: Picture) -> list[AnyLine]:
    """The same with a given picture."""
    kind = picture.kind
    slots = {"color": picture.color, "name": picture.name}
    if kind is PictureKind.COUNT:
        slots = {"color": picture.color, "count": cardinal(picture.count), "things": plural(picture.name)}
    elif kind is PictureKind.DIGIT:
        slots["name"] = cardinal(int(picture.name))
    elif kind is PictureKind.THING and picture.name in COLORED:
        slots["name"] = f"{picture.color} {picture.name}"
    asked = scene.request(f"draw_{_asked_as(kind)}", **slots)
    words = describe(picture)
    scene.drawn = picture
    return [asked, scene.reply(f"Here is {words}.", f"I'm drawing {words}.", f"Sure, {words}.", draws=picture)]


def draw_it_again(scene: Scene) -> list[AnyLine]:
    """A follow-up: the same in another colour."""
    first: list[AnyLine] = []
    while scene.drawn is None or scene.drawn.kind not in (PictureKind.SHAPE, PictureKind.COUNT):
        first = draw(scene)
    drawn = scene.drawn
    color = scene.one([name for name in COLORS if name != drawn.color])
    picture = Picture(drawn.kind, drawn.name, color, drawn.count, drawn.seed)
    asked = scene.request("draw_it_again", color=color)
    scene.drawn = picture
    return [*first, asked, scene.reply(f"Here it is in {color}.", f"Now it's {color}.", "Here you are.", draws=picture)]


def _needs_camera(scene: Scene) -> None:
    if not scene.sees:
        raise NotNow("the camera is off")
