"""How bytes reach a session: WebSocket, and an in-memory pair for tests."""
