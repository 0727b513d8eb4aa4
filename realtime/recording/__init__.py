"""One MCAP file a session: written while it runs, readable after a crash, exact to the bit."""
