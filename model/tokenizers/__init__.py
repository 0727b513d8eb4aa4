"""Media to discrete ids and back: text, sound, pictures."""
