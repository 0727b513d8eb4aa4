"""Words that the text sources share: names to say and to filter out, words to leave out, repairs of typing."""

FIRST_NAMES: tuple[str, ...] = tuple(
    """Aaron Abigail Adam Ahmed Aisha Alan Albert Alex Alice Amanda Amelia Amir Amy Ana Andrea Andrew Angela Anna
    Anthony Arthur Ashley Austin Barbara Ben Benjamin Beth Betty Bob Brandon Brenda Brian Bruce Carl Carla Carlos
    Carol Caroline Catherine Charles Charlotte Chloe Chris Christina Claire Colin Connor Cynthia Daniel David Dean
    Deborah Denise Dennis Diana Diego Donald Donna Dorothy Douglas Dylan Edward Elena Elizabeth Ella Ellen Emily
    Emma Eric Ethan Eva Evelyn Fatima Felix Frances Francis Frank Gary George Gloria Grace Grant Greg Hannah Harold
    Harry Heather Helen Henry Howard Hugo Ian Irene Isaac Isabel Ivan Jack Jacob James Jane Janet Jason Jean
    Jennifer Jeremy Jessica Jim Joan Joe John Jonathan Jordan Jorge Joseph Joshua Joyce Juan Judith Julia Julie
    Justin Karen Kate Keith Kelly Kenneth Kevin Kim Kyle Larry Laura Lauren Leo Leon Liam Lily Linda Lisa Louis
    Lucas Lucy Luis Luke Margaret Maria Marie Mario Mark Martha Martin Mary Matthew Max Megan Melissa Michael
    Michelle Miguel Mike Mohammed Monica Nadia Nancy Naomi Natalie Nathan Nicholas Nicole Noah Nora Oliver Olivia
    Omar Oscar Pamela Patricia Patrick Paul Peter Philip Priya Rachel Ralph Ravi Rebecca Richard Robert Roger Ronald
    Rosa Rose Ruth Ryan Samantha Samuel Sandra Sara Sarah Scott Sean Sharon Simon Sofia Sophia Stephanie Stephen
    Steve Steven Susan Sven Teresa Thomas Tim Timothy Tina Tom Tony Tyler Vera Victor Victoria Vincent Virginia
    Walter Wendy William Yuki Yusuf Zoe""".split()  # noqa: SIM905
)

LAST_NAMES: tuple[str, ...] = tuple(
    """Adams Ahmed Allen Anderson Bailey Baker Barnes Bell Bennett Brooks Brown Bryant Butler Campbell Carter Chen
    Clark Coleman Collins Cook Cooper Cox Cruz Davis Diaz Edwards Evans Fisher Flores Foster Garcia Gomez Gonzalez
    Gray Green Griffin Gupta Hall Hamilton Harris Hayes Henderson Hernandez Hill Howard Hughes Ivanov Jackson James
    Jenkins Johnson Jones Kelly Khan Kim King Kowalski Kumar Lee Lewis Long Lopez Martin Martinez Meyer Miller
    Mitchell Moore Morgan Morris Murphy Myers Nakamura Nelson Nguyen Novak Okafor Ortiz Parker Patel Patterson Perez
    Perry Peterson Phillips Powell Price Ramirez Reed Reyes Richardson Rivera Roberts Robinson Rodriguez Rogers Ross
    Rossi Russell Sanchez Sanders Schmidt Scott Silva Simmons Singh Smith Stewart Sullivan Suzuki Tanaka Taylor
    Thomas Thompson Torres Turner Walker Ward Washington Watson White Williams Wilson Wood Wright Yang Young""".split()  # noqa: SIM905
)

COMMON_WORDS: tuple[str, ...] = tuple(
    """apple arrow autumn bagel basket beach bicycle blanket bottle bread bridge brother bucket butter candle carpet
    castle chair cherry circle cloud coffee copper corner cotton cousin cup dinner doctor dragon engine evening
    family farmer feather fence finger flower forest fountain garden giraffe glass guitar hammer harbor honey horse
    house island jacket jungle kettle kitchen ladder lemon letter library lobster market meadow mirror monkey
    morning mountain museum mushroom music needle noodle ocean office onion orange oven paper parrot pencil pepper
    picture pillow planet pocket potato puzzle quarter question rabbit radio rainbow river rocket sailor salad
    school scissors shadow silver sister spider spoon squirrel station summer sunset table teacher theater ticket
    tiger tomato tower tractor train travel triangle tunnel turtle umbrella valley village violin voyage wagon
    wallet water weather whistle window winter wizard yellow zebra""".split()  # noqa: SIM905
)

# The words to leave out match whole; those that end in * match as beginnings of words.
PROFANITY: tuple[str, ...] = tuple(
    """anal anus arous* arse ass asses asshole* bastard* bitch* bondage boob* breast* brothel* bugger* bullshit*
    castrat* cock cocks coitus condom* copulat* crap* cunt* damn* dick dicks dildo* douche* ejaculat* erect* erotic*
    excrement faeces fag faggot* feces fart* fornicat* freaking frigging fuck* genital* goddam* gonorrh* hell
    hooker* horny incest* intercourse jizz lust* masturbat* naked negr* nigg* nipple* nude* nudity nympho* obscen*
    orgasm* orgy pedophil* penis* piss* poop* porn* prostitut* pubic puke* rap rectum retard* screw* scrot* semen
    sex sexes sexual* sexy shit* slut* sodom* sperm* strip* suck* testic* tit tits turd* urin* vagina* venere*
    vibrator* virgin* vomit* vulva* wank* whore* pee pimp""".split()  # noqa: SIM905
)

VIOLENCE_AND_DRUGS: tuple[str, ...] = tuple(
    """abort* abus* alcohol* blood* bomb* booz* cannabis cocaine corpse* die died dies drug* drunk* dying execut*
    genocid* gun guns heroin hitler holocaust kill* marijuana massacr* meth molest* murder* nazi* racist* rape*
    raping rapist* shoot* slave* smok* stab* stabb* suicid* swastika terroris* tobacco tortur* viol*
    vodka weed""".split()  # noqa: SIM905
)

# Kinds of people and of belief: strangers who write about them are often joking at their cost.
GROUPS: tuple[str, ...] = tuple(
    """gay gays homosexual* jew jews lesbian* muslim* religio* trump queer*""".split()  # noqa: SIM905
)

# Nobody pronounces these.
TYPED_LAUGHTER: tuple[str, ...] = tuple(
    """lmao lmfao omfg wtf stfu af lol haha* hehe* bleh xd""".split()  # noqa: SIM905
)

UNWANTED: tuple[str, ...] = PROFANITY + VIOLENCE_AND_DRUGS + GROUPS + TYPED_LAUGHTER

# How people type what they say.
REPAIRS: dict[str, str] = {
    "i": "I",
    "im": "I'm",
    "ive": "I've",
    "i'm": "I'm",
    "i've": "I've",
    "i'll": "I'll",
    "i'd": "I'd",
    "dont": "don't",
    "doesnt": "doesn't",
    "didnt": "didn't",
    "cant": "can't",
    "couldnt": "couldn't",
    "wouldnt": "wouldn't",
    "shouldnt": "shouldn't",
    "isnt": "isn't",
    "arent": "aren't",
    "wasnt": "wasn't",
    "werent": "weren't",
    "havent": "haven't",
    "hasnt": "hasn't",
    "hadnt": "hadn't",
    "wont": "won't",
    "thats": "that's",
    "whats": "what's",
    "hows": "how's",
    "wheres": "where's",
    "theres": "there's",
    "heres": "here's",
    "hes": "he's",
    "shes": "she's",
    "youre": "you're",
    "youve": "you've",
    "youll": "you'll",
    "theyre": "they're",
    "weve": "we've",
    "ya": "yeah",
    "yea": "yeah",
    "yah": "yeah",
    "u": "you",
    "ur": "your",
    "thx": "thanks",
    "ok": "okay",
    "tho": "though",
    "alot": "a lot",
    "kinda": "kind of",
    "gonna": "going to",
    "wanna": "want to",
}
