"""The record of decisions: what was said of whom, when and why; what changed since; and how to forget a person."""
