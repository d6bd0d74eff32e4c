"""Pipes and signals as POSIX has them; on Windows they end in another way, and nothing here is collected."""

import os

collect_ignore_glob = ["test_*.py"] if os.name == "nt" else []
