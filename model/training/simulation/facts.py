"""What the agent knows and says: small tables of facts, definitions and jokes, and its own name."""

AGENT_NAME = "OmniWeave"

CAPITALS: dict[str, str] = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "England": "London",
    "Japan": "Tokyo",
    "China": "Beijing",
    "Russia": "Moscow",
    "Egypt": "Cairo",
    "Greece": "Athens",
    "Canada": "Ottawa",
    "Austria": "Vienna",
    "Portugal": "Lisbon",
    "Norway": "Oslo",
    "Poland": "Warsaw",
    "Ireland": "Dublin",
}

ANIMAL_SOUNDS: dict[str, str] = {
    "dog": "woof",
    "cat": "meow",
    "cow": "moo",
    "duck": "quack",
    "sheep": "baa",
    "pig": "oink",
    "rooster": "cock-a-doodle-doo",
    "bee": "buzz",
    "lion": "roar",
    "frog": "ribbit",
}

DEFINITIONS: dict[str, str] = {
    "clock": "a clock shows what time it is",
    "bridge": "a bridge carries a road over a river",
    "library": "a library is a place where you can read and borrow books",
    "doctor": "a doctor helps people who are ill",
    "kitchen": "a kitchen is a room for cooking",
    "winter": "winter is the coldest season of the year",
    "triangle": "a triangle is a shape with three sides",
    "island": "an island is land with water all around it",
    "umbrella": "an umbrella keeps you dry in the rain",
    "bakery": "a bakery makes and sells bread",
    "map": "a map is a drawing that shows where places are",
    "river": "a river is water that flows to the sea",
    "piano": "a piano is an instrument with black and white keys",
    "breakfast": "breakfast is the first meal of the day",
    "forest": "a forest is a place with many trees",
    "planet": "a planet is a large ball that travels around a star",
}

# What an explanation in other words has to mention, one of each line.
DEFINITION_KEYS: dict[str, str] = {
    "clock": "time|hour|hours",
    "bridge": "river|road|cross|over",
    "library": "books|book|read",
    "doctor": "ill|sick|health|patients|medical",
    "kitchen": "cooking|cook|food|meals",
    "winter": "coldest|cold|season",
    "triangle": "three",
    "island": "water|sea",
    "umbrella": "rain|dry",
    "bakery": "bread",
    "map": "places|place|where",
    "river": "water",
    "piano": "instrument|keys|music",
    "breakfast": "morning|first meal",
    "forest": "trees",
    "planet": "star|sun",
}

OPPOSITES: dict[str, str] = {
    "hot": "cold",
    "big": "small",
    "old": "young",
    "up": "down",
    "day": "night",
    "fast": "slow",
    "open": "closed",
    "happy": "sad",
    "left": "right",
    "dark": "light",
    "full": "empty",
    "hard": "soft",
    "early": "late",
    "wet": "dry",
}

# Words that mean the same as a word of the pairs.
ALSO_OPPOSITE: dict[str, tuple[str, ...]] = {
    "small": ("little",),
    "young": ("new",),
    "closed": ("shut",),
    "light": ("bright",),
    "sad": ("unhappy",),
}

PROPERTIES: tuple[tuple[str, str, bool], ...] = (
    ("snow", "cold", True),
    ("fire", "hot", True),
    ("the sky", "green", False),
    ("sugar", "sweet", True),
    ("a lemon", "sour", True),
    ("an elephant", "small", False),
    ("water", "dry", False),
    ("the sun", "bright", True),
    ("ice", "warm", False),
    ("a mouse", "bigger than a horse", False),
    ("the night", "dark", True),
    ("a stone", "soft", False),
)

FAVORITES: dict[str, tuple[str, ...]] = {
    "color": ("red", "blue", "green", "yellow", "purple"),
    "animal": ("dogs", "cats", "horses", "rabbits", "dolphins"),
    "food": ("pizza", "soup", "pasta", "rice", "salad"),
    "season": ("spring", "summer", "autumn", "winter"),
    "fruit": ("apples", "bananas", "cherries", "oranges", "grapes"),
}

JOKES: tuple[str, ...] = (
    "Why did the clock go to school? It wanted to learn the time.",
    "What has four legs and cannot walk? A table.",
    "Why is six afraid of seven? Because seven ate nine.",
    "What do you call a sleeping bull? A bulldozer.",
    "Why did the bicycle fall over? It was too tired.",
    "What did one wall say to the other? I'll meet you at the corner.",
)

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MEALS = ("soup", "pasta", "pancakes", "a sandwich", "fish", "curry")
INSTRUMENTS = ("guitar", "piano", "violin", "drums", "flute")
HOBBIES = ("gardening", "reading", "swimming", "cooking", "chess", "photography", "hiking")

SENTENCES: tuple[str, ...] = (
    "The door is open.",
    "I like green apples.",
    "We meet at the station.",
    "The quick fox sleeps.",
    "Seven birds sit on the roof.",
    "My brother plays the guitar.",
    "It will rain tomorrow.",
    "The coffee is still warm.",
    "Please bring the blue bag.",
    "She walks along the river.",
    "There is milk in the kitchen.",
    "The train leaves at nine.",
    "He lost his yellow umbrella.",
    "Tomorrow we bake bread.",
    "The cat hides under the table.",
    "All the windows are closed.",
)

BACKCHANNELS = ("Mm-hm.", "Uh-huh.", "Right.", "Okay.", "Yeah.", "I see.")
INTERRUPTIONS = ("Wait.", "Stop.", "Hold on.", "Okay, okay.", "No, wait a second.", "Thanks, that's enough.")
