"""Exchanges of conversation: greetings, names, small talk, facts, follow-ups.

Each is a function from the scene to the lines of one request and its answer.
"""

from model.training.data.text.words import FIRST_NAMES
from model.training.simulation.facts import (
    AGENT_NAME,
    ALSO_OPPOSITE,
    ANIMAL_SOUNDS,
    CAPITALS,
    DEFINITION_KEYS,
    DEFINITIONS,
    FAVORITES,
    HOBBIES,
    INSTRUMENTS,
    JOKES,
    MEALS,
    OPPOSITES,
    PROPERTIES,
)
from model.training.simulation.scene import Scene
from model.training.simulation.script import AnyLine, Waits


def greeting(scene: Scene) -> list[AnyLine]:
    name = f", {scene.user_name}" if scene.user_name else ""
    return [
        scene.request("greeting"),
        scene.reply(
            f"Hello{name}! How can I help?", f"Hi{name}! I'm listening.", f"Hello{name}, good to hear you.",
            keys=("hello|hi|hey|greetings|welcome|good day|good morning|good evening",),
        ),
    ]  # fmt: skip


def farewell(scene: Scene) -> list[AnyLine]:
    name = f", {scene.user_name}" if scene.user_name else ""
    return [
        scene.request("farewell"),
        scene.reply(
            f"Goodbye{name}!", f"Bye{name}, talk to you soon.", f"See you{name}!", f"Take care{name}.",
            keys=("goodbye|bye|see you|take care|farewell|talk to you|until next time",),
        ),
    ]  # fmt: skip


def how_are_you(scene: Scene) -> list[AnyLine]:
    return [
        scene.request("how_are_you"),
        scene.reply(
            "I'm fine, thanks. And you?", "Very well, thank you.", "All good here. How are you?",
            keys=("fine|very well|i'm well|i am well|doing well|good|great|all right|doing okay",),
        ),
    ]  # fmt: skip


def thanks(scene: Scene) -> list[AnyLine]:
    return [
        scene.request("thanks"),
        scene.reply(
            "You're welcome.", "Gladly.", "Any time.", "My pleasure.", "You're welcome, happy to help.",
            keys=("welcome|gladly|any time|anytime|pleasure|happy to help|glad to help|no problem",),
        ),
    ]  # fmt: skip


def small_talk(scene: Scene) -> list[AnyLine]:
    asked = scene.request(
        "small_talk", meal=scene.one(MEALS), instrument=scene.one(INSTRUMENTS), hobby=scene.one(HOBBIES)
    )
    return [
        asked,
        scene.reply(
            "I see. Tell me more about it.", "That sounds interesting.", "Oh, really?", "I like hearing that.",
            "Thanks for telling me. What comes next?", "I understand.",
            keys=("i see|tell me|interesting|really|like hearing|glad to hear|thanks|understand|sounds|lovely|nice",),
        ),
    ]  # fmt: skip


def own_name(scene: Scene) -> list[AnyLine]:
    return [
        scene.request("own_name"),
        scene.reply(
            f"I'm {AGENT_NAME}.", f"My name is {AGENT_NAME}.", f"You can call me {AGENT_NAME}.",
            keys=(f"{AGENT_NAME}|omni weave",),
        ),
    ]  # fmt: skip


def abilities(scene: Scene) -> list[AnyLine]:
    return [
        scene.request("abilities"),
        scene.reply(
            "I can listen, look, talk, write and draw, all at once.",
            "I can chat with you, tell what you show me, draw small pictures and write down what you say.",
            "Small things: sums, spelling, counting, pictures. I'm a small model, so don't expect too much.",
            keys=("listen|talk|write|draw|chat|sums|spelling|counting|pictures|answer|questions",),
        ),
    ]


def what_are_you(scene: Scene) -> list[AnyLine]:
    return [
        scene.request("what_are_you"),
        scene.reply(
            "I'm a small computer model that hears, sees and speaks.",
            "I'm a program, not a person.",
            "No human here. I'm a model that talks with you live.",
            keys=("model|program|computer|machine|artificial|ai",),
        ),
    ]


def hear_me(scene: Scene) -> list[AnyLine]:
    return [
        scene.request("hear_me"),
        scene.reply(
            "Yes, I can hear you.", "I hear you well.", "Loud and clear.", "Yes, go ahead.",
            keys=("yes|hear you|loud and clear|go ahead|i am listening|i'm listening",),
        ),
    ]  # fmt: skip


def give_name(scene: Scene) -> list[AnyLine]:
    name = scene.one(FIRST_NAMES)
    lines: list[AnyLine] = [
        scene.request("give_name", name=name),
        scene.reply(
            f"Nice to meet you, {name}.", f"Hello, {name}!", f"Hi {name}. What can I do for you?", keys=(name,)
        ),
    ]
    scene.user_name = name
    return lines


def recall_name(scene: Scene) -> list[AnyLine]:
    if scene.user_name:
        replies = [f"Your name is {scene.user_name}.", f"You're {scene.user_name}.", f"You told me: {scene.user_name}."]
    else:
        replies = ["You haven't told me yet.", "I don't know. What's your name?", "I don't know your name yet."]
    unknown = "know|told|tell me|your name yet|what is your name|what's your name"
    return [scene.request("recall_name"), scene.reply(*replies, keys=(scene.user_name or unknown,))]


def yes_no_fact(scene: Scene) -> list[AnyLine]:
    thing, quality, is_so = scene.one(PROPERTIES)
    replies = (
        [f"Yes, {thing} is {quality}.", "Yes, it is.", f"Yes, that's right, {thing} is {quality}."]
        if is_so
        else [f"No, {thing} is not {quality}.", "No, it isn't.", f"No, I don't think {thing} is {quality}."]
    )
    agreed = f"yes|that's right|you're right|you are right|that is right|true|correct|={thing} is {quality}"
    keys = (agreed,) if is_so else ("no|isn't|is not|not true|wrong|false",)
    return [scene.request("yes_no_fact", thing=thing, property=quality), scene.reply(*replies, keys=keys)]


def fact(scene: Scene) -> list[AnyLine]:
    country = scene.one(list(CAPITALS))
    city = CAPITALS[country]
    return [
        scene.request("fact", country=country),
        scene.reply(
            f"The capital of {country} is {city}.", f"{city}.", f"That's {city}.", f"It's {city}.", keys=(city,)
        ),
    ]


def animal_sound(scene: Scene) -> list[AnyLine]:
    animal = scene.one(list(ANIMAL_SOUNDS))
    sound = ANIMAL_SOUNDS[animal]
    return [
        scene.request("animal_sound", animal=animal),
        scene.reply(f"A {animal} says {sound}.", f"{sound}!", f"The {animal} goes {sound}.", keys=(sound,)),
    ]


def define(scene: Scene) -> list[AnyLine]:
    word = scene.one(list(DEFINITIONS))
    meaning = DEFINITIONS[word]
    return [
        scene.request("define", word=word),
        scene.reply(f"{meaning}.", f"Well, {meaning}.", f"Simply put, {meaning}.", keys=(DEFINITION_KEYS[word],)),
    ]


def opposite(scene: Scene) -> list[AnyLine]:
    word, other = scene.one(list(OPPOSITES.items()))
    if scene.chance(0.5):
        word, other = other, word
    return [
        scene.request("opposite", word=word),
        scene.reply(
            f"The opposite of {word} is {other}.", f"{other}.", f"That would be {other}.",
            keys=("|".join((other, *ALSO_OPPOSITE.get(other, ()))),),
        ),
    ]  # fmt: skip


def favorite(scene: Scene) -> list[AnyLine]:
    topic = scene.one(list(FAVORITES))
    item = scene.one(FAVORITES[topic])
    lines: list[AnyLine] = [
        scene.request("favorite", topic=topic, item=item),
        scene.reply(
            "I'll remember that.", f"{item}, good choice.", f"{item}, noted.", f"Nice, {item}.",
            keys=(f"{item}|remember|noted|good choice",),
        ),
    ]  # fmt: skip
    scene.favorites[topic] = item
    return lines


def recall_favorite(scene: Scene) -> list[AnyLine]:
    first = favorite(scene) if not scene.favorites else []
    topic, item = scene.one(list(scene.favorites.items()))
    return [
        *first,
        scene.request("recall_favorite", topic=topic),
        scene.reply(f"Your favorite {topic} is {item}.", f"You said {item}.", f"{item}, you told me.", keys=(item,)),
    ]


def joke(scene: Scene) -> list[AnyLine]:
    keys = ("why did|why is|what do you call|what has|what did",)
    return [scene.request("joke"), scene.reply(*JOKES, keys=keys)]


def cannot(scene: Scene) -> list[AnyLine]:
    asked = scene.request("cannot", country=scene.one(list(CAPITALS)), name=scene.one(FIRST_NAMES))
    return [
        asked,
        scene.reply(
            "I can't do that, sorry.", "Sorry, I have no way to do that.", "I only know what you say and show me.",
            "That's beyond me. I can talk, look and draw.",
            keys=("can't|cannot|sorry|no way to|beyond me|only know|unable|don't have",),
        ),
    ]  # fmt: skip


def say_again(scene: Scene) -> list[AnyLine]:
    first = fact(scene) if not scene.last_reply else []
    said = scene.last_reply
    return [*first, scene.request("say_again"), scene.reply(said, f"I said: {said}")]


def check_in(scene: Scene) -> list[AnyLine]:
    """The only silence that the agent may break."""
    return [
        scene.request("check_in"),
        scene.reply(
            "All right, I will.", "Okay, I'll speak up then.", "Sure.",
            keys=("all right|alright|okay|ok|sure|i will|i'll|of course",),
        ),
        Waits(duration_us=scene.pause_us(9_500, 10_500)),
        scene.reply(
            "Are you still there?", "It's quiet. Are you there?", "Your turn!", "Still with me?",
            keys=("there|your turn|with me|quiet",),
        ),
    ]  # fmt: skip
