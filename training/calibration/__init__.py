"""From log-odds to honest probabilities: shape, level, and what similar leads did."""
