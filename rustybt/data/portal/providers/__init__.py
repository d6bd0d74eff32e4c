"""Where bars come from: frames in memory, a source, several bundles, and longer bars made of shorter ones."""
