import logging

import pytest


@pytest.fixture(autouse=True)
def seen_logs():
    """Let pytest see the events of the library, also after a test of the command line has sent them elsewhere."""
    logger = logging.getLogger("rustybt")
    before = logger.propagate, logger.level
    logger.propagate = True
    logger.setLevel(logging.NOTSET)
    yield
    logger.propagate = before[0]
    logger.setLevel(before[1])
