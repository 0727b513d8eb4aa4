"""Measures the whole agent through the session that clients talk to: what it answers, sees and draws, and when."""
