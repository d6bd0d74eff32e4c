"""``python -m rustybt`` is ``rustybt``."""

from rustybt.cli.main import main

if __name__ == "__main__":
    main()
