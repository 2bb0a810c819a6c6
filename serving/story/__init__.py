"""The story of one lead: why it has its probability, what it did, what changed, and what would raise it."""
