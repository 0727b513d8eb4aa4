"""Media to feature vectors for the decoder: sight and sound."""
