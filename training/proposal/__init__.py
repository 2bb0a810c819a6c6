"""Look at an export and propose a leads.toml."""
