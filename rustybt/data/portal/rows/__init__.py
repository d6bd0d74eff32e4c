"""Which row of the clock a bar belongs to."""
