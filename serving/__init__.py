"""From a saved model and today's tables to decisions people use."""
