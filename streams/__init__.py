"""The shared vocabulary: what a moment of sound, sight and text is. numpy and the standard library, soxr for rates."""
