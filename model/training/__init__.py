"""The training recipe: a leaf that nobody imports."""
