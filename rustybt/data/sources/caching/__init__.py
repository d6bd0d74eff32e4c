"""What a cached source does for one request: look, ask for the holes, keep, hand over."""
