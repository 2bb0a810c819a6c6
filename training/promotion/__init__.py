"""Challenger against champion, and the moves of the aliases."""
