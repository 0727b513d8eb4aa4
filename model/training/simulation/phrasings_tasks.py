"""How people ask for small tasks: counting, sums, days, spelling, repeating. Read as `phrasings_talk` is."""

TASKS: dict[str, tuple[str, str]] = {
    "count_up": (
        """Count to {n}. | Count up to {n}. | Can you count to {n}? | Please count from one to {n}. | Count from one
        to {n}. | Let's hear you count to {n}. | I want you to count to {n}. | Start at one and count to {n}. |
        Could you count to {n} for me?""",
        """Name the numbers up to {n}. | Say every number from one to {n}. | Go from one to {n}.""",
    ),
    "count_down": (
        """Count down from {n}. | Count backwards from {n}. | Can you count down from {n}? | Count from {n} down to
        one. | Please count backwards from {n}. | Do a countdown from {n}. | Start at {n} and count down.""",
        """Go backwards from {n} to one. | Give me a countdown of {n}.""",
    ),
    "add": (
        """What is {a} plus {b}? | What's {a} plus {b}? | {a} plus {b}? | How much is {a} plus {b}? | Add {a} and
        {b}. | What is {a} and {b} together? | Calculate {a} plus {b}. | Tell me {a} plus {b}. | What do you get
        if you add {a} and {b}? | Can you add {a} and {b}?""",
        """What's the sum of {a} and {b}? | If I have {a} and get {b} more, how many do I have? | {a} plus {b} makes
        what?""",
    ),
    "subtract": (
        """What is {a} minus {b}? | What's {a} minus {b}? | {a} minus {b}? | How much is {a} minus {b}? | Take {b}
        away from {a}. | Subtract {b} from {a}. | Calculate {a} minus {b}. | Tell me {a} minus {b}. | What is left
        if you take {b} from {a}?""",
        """What's the difference between {a} and {b}? | If I have {a} and lose {b}, what remains? | {a} less {b} is
        what?""",
    ),
    "multiply": (
        """What is {a} times {b}? | What's {a} times {b}? | {a} times {b}? | How much is {a} times {b}? | Multiply
        {a} by {b}. | Calculate {a} times {b}. | Tell me {a} times {b}. | Can you multiply {a} and {b}?""",
        """What's the product of {a} and {b}? | How many are {b} groups of {a}?""",
    ),
    "plus_more": (
        """And plus {b}? | Now add {b}. | Plus {b} more? | And if you add {b}? | Add {b} to that. | What about plus
        {b}? | And {b} more?""",
        """Put {b} on top of it. | And with another {b}?""",
    ),
    "bigger": (
        """Which is bigger, {a} or {b}? | What is more, {a} or {b}? | Is {a} bigger than {b}? | Which number is
        larger, {a} or {b}? | Tell me which is bigger, {a} or {b}. | What's larger, {a} or {b}?""",
        """Of {a} and {b}, which is greater? | Compare {a} and {b}, which one wins?""",
    ),
    "day_after": (
        """What day comes after {day}? | Which day is after {day}? | What comes after {day}? | What's the day after
        {day}? | If today is {day}, what is tomorrow? | Today is {day}, what day is tomorrow? | Tell me the day
        after {day}.""",
        """Which day follows {day}? | After {day} it is what day?""",
    ),
    "day_before": (
        """What day comes before {day}? | Which day is before {day}? | What's the day before {day}? | If today is
        {day}, what was yesterday? | Today is {day}, what day was yesterday? | Tell me the day before {day}.""",
        """Which day precedes {day}? | Just before {day} it is what day?""",
    ),
    "week": (
        """Name the days of the week. | What are the days of the week? | Tell me the days of the week. | List the
        days of the week. | Say the days of the week. | Can you name all days of the week? | How do the days of
        the week go?""",
        """Recite the weekdays. | Go through the week day by day.""",
    ),
    "spell": (
        """How do you spell {word}? | Spell {word}. | Can you spell {word}? | Spell the word {word}. | Please spell
        {word} for me. | What's the spelling of {word}? | Tell me how to spell {word}. | How is {word} spelled?""",
        """Give me the letters of {word}. | How do you write {word}? | Letter by letter, what is {word}?""",
    ),
    "first_letter": (
        """What letter does {word} start with? | Which letter does {word} begin with? | What's the first letter of
        {word}? | Tell me the first letter of {word}. | {word}, what's its first letter? | With which letter does
        {word} begin?""",
        """The word {word} opens with which letter? | Name the initial of {word}.""",
    ),
    "repeat": (
        """Repeat after me: {sentence} | Say: {sentence} | Please repeat: {sentence} | Say this: {sentence} | Can you
        repeat this? {sentence} | Repeat the following: {sentence} | Say after me: {sentence} | Repeat what I say:
        {sentence}""",
        """Echo my words: {sentence} | Copy this sentence: {sentence} | Speak after me: {sentence}""",
    ),
    "transcribe": (
        """Start transcribing. | Write down what I say. | Please start transcribing. | Transcribe what I say. | Take
        dictation. | Write what I say from now on. | Begin transcribing what I'm saying. | Type what I say,
        please. | Start writing down my words.""",
        """Put my words in writing. | Take this down. | Make a transcript from now on.""",
    ),
    "stop_transcribing": (
        """Stop transcribing. | Stop writing. | Okay, stop transcribing now. | You can stop writing. | That's it,
        stop transcribing. | Stop the dictation. | Finish transcribing. | End of dictation.""",
        """No more writing, please. | Put the pen down. | The transcript ends here.""",
    ),
}
