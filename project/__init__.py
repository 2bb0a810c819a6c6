"""The user's project folder: `leads.toml`, `state/`, safe files, and how commands speak."""
