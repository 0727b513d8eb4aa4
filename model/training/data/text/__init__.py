"""Sentences to speak: human dialogue, dictionary definitions and our own templates."""
