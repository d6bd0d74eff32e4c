"""What all vendors share: parallel fetches, ranges, final bars, streams."""
