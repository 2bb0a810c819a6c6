"""Find columns and features that know the outcome."""
