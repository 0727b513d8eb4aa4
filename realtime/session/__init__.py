"""One client's session, sans I/O: conversation, turns, responses, and the windows of its ticks."""
