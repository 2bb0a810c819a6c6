"""What people read of a training: one page, its figures and its sentences."""
