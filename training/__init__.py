"""From history to a saved, tracked, promoted model."""
