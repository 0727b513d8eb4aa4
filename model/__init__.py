"""What the agent perceives and decides. torch. Never imports realtime."""
