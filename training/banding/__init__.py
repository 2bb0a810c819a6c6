"""Bands that fit the team: what each threshold would bring, and how to pick one."""
