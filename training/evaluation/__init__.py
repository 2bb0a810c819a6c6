"""Judge probabilities on a later period: pure tables, each number with what chance allows."""
