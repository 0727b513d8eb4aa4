"""Synthetic realtime sessions: scripts, their staging in time on the five streams, and the recordings they become."""
