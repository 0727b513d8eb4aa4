"""The data engine: speech, text, pictures and noise that the stages train on, made by command and read by index."""
