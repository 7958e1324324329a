"""The judge for people: recorded rollouts judged again, explained, drawn, and what it would catch."""
