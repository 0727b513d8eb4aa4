"""Speech synthesisers behind one protocol; each adapter owns one engine's package and voices."""
