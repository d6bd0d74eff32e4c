"""An answer has to be there in time as a whole: clients of urllib3 begin to wait anew with every byte."""

from __future__ import annotations

import time
from typing import Any

_CHUNK = 2**18
#: No answer of any vendor is a tenth as large; what goes on is an error, and must not fill the memory.
MOST_BYTES = 2**29


def read_in_time(response: Any, seconds: float) -> bytes:
    """Return the body of an answer of urllib3 that was asked for without it.

    Raises
    ------
    TimeoutError
        It did not end within `seconds`.
    OSError
        It does not end.
    urllib3.exceptions.HTTPError
        It broke off, or cannot be unpacked.
    """
    deadline = time.monotonic() + seconds
    body = bytearray()
    try:
        while chunk := response.read1(_CHUNK, decode_content=True):
            body += chunk
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(body) > MOST_BYTES:
                raise OSError
    except BaseException:
        # What is left of it must not be taken for the answer to the next request.
        response.close()
        raise
    response.release_conn()
    return bytes(body)
