"""How people say what they want of a conversation: greetings, small talk, names, facts. `|` parts phrasings.

The first text of each pair may be trained on, the second is held out: only evaluation ever uses it.
"""

TALK: dict[str, tuple[str, str]] = {
    "greeting": (
        """Hello. | Hi. | Hi there. | Hey. | Good morning. | Good afternoon. | Hello there. | Hey, hello. | Hi, good
        to meet you. | Hello, are you there? | Good evening to you. | Hey there, friend. | Hello again.""",
        """Greetings. | Good day. | Hiya. | Well, hello to you.""",
    ),
    "farewell": (
        """Goodbye. | Bye. | Bye bye. | See you later. | I have to go now. | That's all, goodbye. | Talk to you
        later. | Okay, bye for now. | See you tomorrow. | I'm leaving now, bye. | Good night.""",
        """Farewell. | So long. | Catch you later. | I'm off, take care.""",
    ),
    "how_are_you": (
        """How are you? | How are you doing? | How's it going? | How do you feel today? | How are things? | Are you
        well? | How are you today? | How have you been? | Everything okay with you? | How is your day?""",
        """What's up? | How goes it? | Are you doing all right?""",
    ),
    "thanks": (
        """Thank you. | Thanks. | Thanks a lot. | Thank you very much. | That was helpful. | Great, thanks. | Thanks
        for your help. | Okay, thank you. | That's kind of you. | Perfect, thank you.""",
        """Much appreciated. | Cheers. | Many thanks.""",
    ),
    "small_talk": (
        """I had {meal} today. | I'm going for a walk. | I just got home from work. | I feel a bit tired. | I'm
        bored. | It's raining outside. | The sun is shining. | I'm learning to play the {instrument}. | I like
        {hobby}. | My day was great. | My day was not so good. | I'm cooking {meal}. | I'm waiting for the bus. |
        It's cold in here.""",
        """I could use a cup of tea. | I spent the day with {hobby}. | What a lovely day it is. | I'm a little
        sleepy.""",
    ),
    "own_name": (
        """What's your name? | What is your name? | Who are you? | Tell me your name. | Do you have a name? | What
        are you called? | And your name is? | May I ask your name? | Who am I talking to? | What do people call
        you?""",
        """How should I call you? | Could you introduce yourself? | Whom am I speaking with?""",
    ),
    "abilities": (
        """What can you do? | What are you able to do? | How can you help me? | Tell me what you can do. | What are
        you good at? | What can I ask you? | Can you see and hear? | What do you do? | Give me an idea of what you
        can do.""",
        """What are your skills? | What sort of things do you know how to do? | Which things can you help with?""",
    ),
    "what_are_you": (
        """Are you a human? | Are you a robot? | Are you real? | Are you a person? | What are you? | Are you a
        computer? | Am I talking to a machine? | Do you have a body? | Are you alive?""",
        """Are you an artificial intelligence? | Is there a person behind this? | Are you a program?""",
    ),
    "hear_me": (
        """Can you hear me? | Do you hear me? | Hello, can you hear me? | Is my microphone working? | Can you hear me
        now? | Are you listening? | Testing, testing, do you hear me? | Does the microphone work?""",
        """Am I audible? | Is my voice coming through? | Do you read me?""",
    ),
    "give_name": (
        """My name is {name}. | I'm {name}. | I am {name}. | Call me {name}. | You can call me {name}. | This is
        {name}. | Hi, I'm {name}. | Hello, my name is {name}. | People call me {name}. | The name is {name}. |
        It's {name} here.""",
        """Please address me as {name}. | I go by {name}. | {name} is what I am called.""",
    ),
    "recall_name": (
        """What's my name? | What is my name? | Do you remember my name? | Who am I? | Tell me my name. | Can you say
        my name? | What did I say my name was? | Do you know my name? | What am I called?""",
        """How do I call myself? | Did you keep my name in mind? | Remind me who I am.""",
    ),
    "yes_no_fact": (
        """Is {thing} {property}? | Tell me, is {thing} {property}? | Would you say {thing} is {property}? | Do you
        think {thing} is {property}? | Is it true that {thing} is {property}?""",
        """Am I right that {thing} is {property}? | Can one say {thing} is {property}?""",
    ),
    "fact": (
        """What is the capital of {country}? | What's the capital of {country}? | Which city is the capital of
        {country}? | Do you know the capital of {country}? | Tell me the capital of {country}. | {country}, what's
        its capital? | Name the capital of {country}. | What is {country}'s capital?""",
        """What city is {country} governed from? | The capital of {country} is what? | In {country}, what's the
        capital?""",
    ),
    "animal_sound": (
        """What sound does a {animal} make? | What does a {animal} say? | How does a {animal} sound? | What noise
        does a {animal} make? | Tell me what a {animal} says. | Which sound does the {animal} make? | Do you know
        what a {animal} says?""",
        """What is the sound of a {animal}? | How do I imitate a {animal}?""",
    ),
    "define": (
        """What is a {word}? | What's a {word}? | What does {word} mean? | Define {word}. | Tell me what a {word} is.
        | Can you explain what a {word} is? | Explain the word {word}. | What do you mean by {word}? | What is
        meant by {word}?""",
        """Give me a definition of {word}. | How would you describe a {word}? | In a few words, what's a {word}?""",
    ),
    "opposite": (
        """What's the opposite of {word}? | What is the opposite of {word}? | Tell me the opposite of {word}. | Which
        word is the opposite of {word}? | The opposite of {word}, please. | Opposite of {word}? | Say the opposite
        of {word}.""",
        """What is the reverse of {word}? | If something is not {word}, what is it?""",
    ),
    "favorite": (
        """My favorite {topic} is {item}. | I love {item}, it's my favorite {topic}. | {item} is my favorite {topic}.
        | You should know, my favorite {topic} is {item}. | Remember that my favorite {topic} is {item}.""",
        """The {topic} I like best is {item}. | When it comes to {topic}s, I prefer {item}.""",
    ),
    "recall_favorite": (
        """What's my favorite {topic}? | What is my favorite {topic}? | Do you remember my favorite {topic}? | Which
        {topic} is my favorite? | Tell me my favorite {topic}. | So what was my favorite {topic}?""",
        """Which {topic} do I like most? | What {topic} did I say I love?""",
    ),
    "joke": (
        """Tell me a joke. | Do you know a joke? | Make me laugh. | Say something funny. | A joke, please. | Can you
        tell a joke? | I want to hear a joke. | Got any jokes? | Cheer me up with a joke.""",
        """Entertain me with a joke. | What's a good joke? | Do you have something funny?""",
    ),
    "cannot": (
        """What's the weather tomorrow? | Order me a pizza. | Call my mother. | Book a flight to {country}. | Play
        some music. | What time is it? | Send an email to {name}. | Turn off the lights. | Who won the game last
        night? | Set an alarm. | Open the door.""",
        """What's in the news today? | Buy me a ticket to {country}. | Dim the lamps. | Ring {name} for me.""",
    ),
    "say_again": (
        """Say that again. | Can you repeat that? | What did you say? | Sorry, what? | Pardon? | Once more, please. |
        I didn't catch that. | Could you say that again? | Repeat that, please.""",
        """Come again? | I missed that. | Would you say it one more time?""",
    ),
    "never_mind": (
        """Never mind. | Forget it. | Stop. | That's enough. | Okay, stop. | It doesn't matter. | Leave it. | Be
        quiet, please. | Stop talking.""",
        """Drop it. | Enough, thank you. | Hush now.""",
    ),
    "check_in": (
        """If I'm quiet for a while, ask whether I'm still here. | When I say nothing for ten seconds, say something.
        | Check on me if I don't talk. | Please ask me if I'm there when I'm silent. | If it gets quiet, say my
        turn has come.""",
        """Should I fall silent, speak up. | Nudge me if you hear nothing from me.""",
    ),
}
