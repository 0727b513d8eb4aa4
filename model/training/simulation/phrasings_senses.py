"""How people ask about what they show and for what should be drawn. Read as `phrasings_talk` is."""

SENSES: dict[str, tuple[str, str]] = {
    "see_color": (
        """What color is this? | What color do you see? | Which color is that? | Tell me the color. | What's the
        color of this? | Can you tell me what color this is? | What color am I holding? | Look, what color is it?
        | Name this color.""",
        """Which color am I showing you? | What shade is in front of you? | This is what color?""",
    ),
    "see_shape": (
        """What shape is this? | What shape do you see? | Which shape is that? | Tell me the shape. | Can you name
        this shape? | What form does this have? | Look, what shape is it? | What's the shape I'm holding? | Name
        this shape.""",
        """Which figure am I showing you? | This is what shape? | How would you call this shape?""",
    ),
    "see_count": (
        """How many {things} do you see? | How many {things} are there? | Count the {things}. | How many {things} am
        I showing you? | Can you count the {things}? | Tell me how many {things} there are. | What number of
        {things} is this?""",
        """The number of {things}, please. | Are you able to tell how many {things} these are?""",
    ),
    "see_digit": (
        """What number is this? | Which number do you see? | What digit is this? | Read the number. | What number am
        I showing you? | Can you read this number? | Tell me the number. | Which digit is that? | Look, what
        number is it?""",
        """Which numeral is on this card? | This says which number?""",
    ),
    "see_word": (
        """What does this say? | Read this. | What word is this? | Can you read this? | What's written here? | Please
        read the word. | What word do you see? | Read what it says. | Which word is written here?""",
        """What is on this sign? | Tell me what's printed here. | Could you read it out?""",
    ),
    "see_thing": (
        """What is this? | What do you see? | What's this? | What am I holding? | Can you tell what this is? | Look
        at this, what is it? | What am I showing you? | Do you know what this is? | Tell me what you see here.""",
        """Can you identify this? | What have I got here? | Which object is this?""",
    ),
    "describe": (
        """Describe what you see. | Tell me about this picture. | Describe this picture. | What's in the picture? |
        Describe the image. | What can you see right now? | Describe what's in front of the camera. | What is in
        this image?""",
        """Give me a description of this. | Put into words what is in view. | What does the camera show?""",
    ),
    "see_changed": (
        """What changed? | What is different now? | Did anything change? | What has changed? | What's new in the
        picture? | Do you see a difference? | Tell me what changed. | What did I change?""",
        """Notice anything different? | How is it different from before?""",
    ),
    "see_before": (
        """What did I show you before? | What was it that I showed you earlier? | What did you see before this? |
        What did I hold up a minute ago? | Do you remember what I showed you? | What was in the picture before? |
        What have I shown you?""",
        """Which thing was there a moment ago? | Think back, what was in view?""",
    ),
    "see_nothing": (
        """What do you see? | Can you see me? | What am I holding? | What color is this? | Look at this. | Can you
        see this? | What's in front of the camera?""",
        """Is anything in view? | Does the camera show you something?""",
    ),
    "narrate": (
        """Tell me what you see as it changes. | Say what I'm showing you from now on. | Name everything I show you.
        | Keep telling me what you see. | Whenever I show you something, say what it is. | Describe what I show,
        one by one.""",
        """Comment on each thing that comes into view. | Call out all that I hold up.""",
    ),
    "stop_narrating": (
        """Stop describing. | Okay, you can stop telling me what you see. | Stop telling me what you see. | No more
        descriptions. | You can stop now. | That's enough describing.""",
        """Quit commenting. | You needn't call them out any more.""",
    ),
    "draw_shape": (
        """Draw a {color} {name}. | Can you draw a {color} {name}? | Please draw a {color} {name}. | Paint a {color}
        {name}. | Show me a {color} {name}. | I'd like to see a {color} {name}. | Make a picture of a {color}
        {name}. | Draw me a {color} {name}. | Could you paint a {color} {name} for me?""",
        """Sketch a {color} {name}. | Create an image of a {color} {name}. | I want a drawing of a {color} {name}.""",
    ),
    "draw_color": (
        """Paint everything {color}. | Draw something {color}. | Show me the color {color}. | Make a picture that is
        all {color}. | Fill the picture with {color}. | Paint it {color}. | Show me {color}.""",
        """Give me a plain {color} surface. | Color the whole image {color}.""",
    ),
    "draw_count": (
        """Draw {count} {color} {things}. | Can you draw {count} {color} {things}? | Please paint {count} {color}
        {things}. | Show me {count} {color} {things}. | Make a picture of {count} {color} {things}. | I'd like
        {count} {color} {things}.""",
        """Sketch {count} {color} {things}. | Put {count} {color} {things} in a picture.""",
    ),
    "draw_digit": (
        """Draw the number {name}. | Write the digit {name}. | Can you draw a {name}? | Paint the number {name}. |
        Show me the number {name}. | Draw me a big {name}. | Please draw the digit {name}.""",
        """Sketch the numeral {name}. | Put the number {name} in a picture.""",
    ),
    "draw_thing": (
        """Draw a {name}. | Can you draw a {name}? | Please draw a {name}. | Paint a {name}. | Show me a {name}. |
        I'd like to see a {name}. | Draw me a {name}. | Make a picture of a {name}. | Could you draw a {name} for
        me?""",
        """Sketch a {name}. | Create an image of a {name}. | A drawing of a {name}, please.""",
    ),
    "draw_it_again": (
        """Now make it {color}. | The same in {color}, please. | Draw it again in {color}. | Can you make it {color}?
        | And now in {color}. | Change the color to {color}.""",
        """I'd rather have it {color}. | Redo that with {color}.""",
    ),
}
