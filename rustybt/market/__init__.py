"""The vocabulary: bars, frequencies, requests, sessions, assets, corporate actions, decimals and quality; pure, no I/O."""
