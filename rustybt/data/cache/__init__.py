"""What is covered, what is fresh, what is asked for and what goes: decisions only, nothing here reads, writes or waits."""
