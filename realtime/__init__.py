"""When things happen and who is connected: sessions, ticks, transports, recordings. Never imports torch or model."""
