"""Watch a model in use: its level, its inputs, its order; and what to do about it."""
