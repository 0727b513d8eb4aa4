"""The stages of the recipe, a file each."""
