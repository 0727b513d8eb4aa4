"""Fast twins of the reference arithmetic; each is compared with its slow twin by a test."""
