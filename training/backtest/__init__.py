"""The last weeks replayed: whom each way of choosing would have called, and how many wins it would have reached."""
