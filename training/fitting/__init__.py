"""What a model is told, and how every rung of the ladder is fitted and tried."""
