"""What a run leaves behind: its records, its frames, its files, and the proof that it comes out the same again."""
