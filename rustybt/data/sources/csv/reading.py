"""Bytes of a CSV file: unpacked, capped, checked for encoding, cut at the ends of records."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from rustybt.data.sources.csv.files import InputFile, not_regular
from rustybt.errors import BadResponseError, RequestError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 16 * 2**20

# Text of prices shrinks to a tenth or, where little changes, a fiftieth; nothing honest of this size does better.
_BOMB_BYTES = 64 * 2**20
_BOMB_RATIO = 200

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNPACK_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost.

    Parameters
    ----------
    max_decompressed_bytes
        Of one file; a gzip bomb ends here, or where it has grown to 200 times its size.
    max_field_bytes
        Of one record: no field can be longer, and an unclosed quote ends here.
    """

    max_decompressed_bytes: int = 8 * 2**30
    max_field_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of a file, as UTF-8.

    Parameters
    ----------
    first_line
        Number of the first line in the file, from 1.
    """

    data: bytes
    first_line: int


class CsvBytes:
    """The records of one file, in blocks of bounded size; iterate once, then `sha256` is known.

    Raises (while iterating)
    ------------------------
    BadResponseError
        NUL bytes, text that is not in the encoding, an unclosed quote or an endless field, a broken or oversized
        archive; the message names file and line.
    SourceUnavailableError
        The file cannot be opened or read.
    """

    def __init__(
        self, file: InputFile, limits: Limits, encoding: str | None = None, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self._file = file
        self._limits = limits
        self._encoding = check_encoding(encoding)
        self._block_bytes = block_bytes
        self.sha256 = ""

    def __iter__(self) -> Iterator[Block]:
        line = 1
        carry = b""
        for chunk, is_last in self._text():
            data = carry + chunk if carry else chunk
            if b"\0" in data:
                raise self._malformed(line + data.count(b"\n", 0, data.index(b"\0")), "holds a NUL byte")
            cut = len(data) if is_last else _last_record_end(data)
            carry = data[cut:]
            if len(carry) > self._limits.max_field_bytes:
                raise self._malformed(line + data.count(b"\n", 0, cut), self._too_long(carry))
            if cut:
                block = data[:cut] if cut < len(data) else data
                if is_last and block.count(b'"') % 2:
                    self._raise_unclosed(block, line)
                self._check_lengths(block, line)
                yield Block(block, line)
                line += block.count(b"\n")

    def _check_lengths(self, block: bytes, first_line: int) -> None:
        """Raise on a line longer than a field may be: one such line spans a window of half that size without an end."""
        limit = self._limits.max_field_bytes
        for start in range(0, len(block) - limit // 2, max(1, limit // 2)):
            if block.find(b"\n", start, start + limit // 2) < 0:
                begin, end = block.rfind(b"\n", 0, start) + 1, block.find(b"\n", start)
                if (len(block) if end < 0 else end) - begin > limit:
                    raise self._malformed(first_line + block.count(b"\n", 0, begin), self._too_long(b""))

    def _too_long(self, record: bytes) -> str:
        size = f"{self._limits.max_field_bytes:,} bytes"
        return f"has a quote that is not closed within {size}" if b'"' in record else f"has a field longer than {size}"

    def _raise_unclosed(self, block: bytes, first_line: int) -> None:
        """Find the record whose quote stays open: the first line after the last even number of quotes."""
        opened, is_open = first_line, False
        for number, text in enumerate(block.split(b"\n"), start=first_line):
            if text.count(b'"') % 2:
                is_open = not is_open
                opened = number if is_open else opened
        raise self._malformed(opened, "has a quote that is never closed")

    def _text(self) -> Iterator[tuple[bytes, bool]]:
        """Yield UTF-8 with its end of line as LF, and whether it is the last."""
        decoder = None
        replace_cr: bool | None = None
        for number, (raw, is_last) in enumerate(self._unpacked()):
            chunk = raw
            if number == 0:
                if self._encoding is None and chunk[:2] in _UTF16:
                    raise self._malformed(1, "is UTF-16, not UTF-8", hint="say so: --encoding utf-16")
                if self._encoding is not None:
                    decoder = codecs.getincrementaldecoder(self._encoding)("strict")
            if decoder is not None:
                try:
                    chunk = decoder.decode(chunk, final=is_last).encode()
                except UnicodeError as error:
                    raise self._malformed(None, f"is not {self._encoding}: {error}") from error
            if number == 0:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
                replace_cr = b"\n" not in chunk and b"\r" in chunk
            yield (chunk.replace(b"\r", b"\n") if replace_cr else chunk), is_last

    def _unpacked(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the file's unpacked bytes, each with whether it is the last, and hash the file's own bytes."""
        total = 0
        try:
            with _open(self._file) as handle:
                hashing = _Hashing(handle)
                packed = self._file.compression
                stream: Any = self._stream(handle, hashing)
                chunk = stream.read(self._block_bytes)
                while True:
                    total += len(chunk)
                    if packed and total > self._limits.max_decompressed_bytes:
                        raise self._malformed(
                            None,
                            f"unpacks to more than {self._limits.max_decompressed_bytes:,} bytes",
                            hint="if that is right: rustybt config set csv.max_decompressed_bytes BYTES",
                        )
                    if packed and total > max(_BOMB_BYTES, _BOMB_RATIO * self._file.size_bytes):
                        raise self._malformed(
                            None,
                            f"unpacks to more than {_BOMB_RATIO} times its size, as no file of bars does",
                            hint="if that is right, unpack it first",
                        )
                    following = stream.read(self._block_bytes) if chunk else b""
                    yield chunk, not following
                    if not following:
                        break
                    chunk = following
                self.sha256 = hashing.finish(start_anew=packed == "zip")
        except _UNPACK_ERRORS as error:
            raise self._malformed(None, f"is no whole .{self._file.compression} file: {error}") from error
        except OSError as error:
            if self._file.compression and error.errno is None:
                raise self._malformed(None, f"is no whole .{self._file.compression} file: {error}") from error
            raise SourceUnavailableError(
                f"cannot read {self._file.label}: {error.strerror or error}", file=self._file.label
            ) from error

    def _stream(self, handle: IO[bytes], hashing: _Hashing) -> Any:
        if self._file.compression == "zip":
            return self._member(handle)
        return _unpacker(self._file.compression, hashing) if self._file.compression else hashing

    def _member(self, handle: IO[bytes]) -> IO[bytes]:
        """Open the one file of a zip archive."""
        archive = zipfile.ZipFile(handle)
        members = [
            item for item in archive.infolist() if not item.is_dir() and not item.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            raise self._malformed(None, f"holds {len(members)} files, not one", hint="unpack it, and name the CSV")
        try:
            return archive.open(members[0])
        except (NotImplementedError, RuntimeError) as error:  # another compression, or a password
            raise self._malformed(None, f"cannot be unpacked: {error}", hint="unpack it, and name the CSV") from error

    def _malformed(self, line: int | None, what: str, hint: str | None = None) -> BadResponseError:
        where = self._file.label if line is None else f"{self._file.label} line {line}"
        return BadResponseError(f"{where} {what}", hint=hint, file=self._file.label, line=line)


def check_encoding(name: str | None) -> str | None:
    """Return `name` if Python knows it as a text encoding; UTF-8, the default, becomes None.

    Raises
    ------
    RequestError
        It is unknown.
    """
    if name is None:
        return None
    try:
        found = codecs.lookup(name)
        b"a".decode(name)
    except (LookupError, UnicodeError, ValueError) as error:
        if isinstance(error, UnicodeError) and name.lower().startswith("utf"):
            return name
        raise RequestError(f"unknown encoding {name!r}", hint="use utf-8, cp1252, latin-1, utf-16 ...") from error
    return None if found.name in ("utf-8", "utf-8-sig") else name


def check_text(block: Block, file: InputFile) -> None:
    """Raise unless the block is UTF-8.

    Raises
    ------
    BadResponseError
        Naming file and line, and how to say which encoding it is.
    """
    if block.data.isascii():
        return
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        line = block.first_line + block.data.count(b"\n", 0, error.start)
        raise BadResponseError(
            f"{file.label} line {line} is not UTF-8: byte 0x{block.data[error.start]:02x}",
            hint="name its encoding: --encoding cp1252 (or latin-1); or convert it: iconv -f cp1252 -t utf-8",
            file=file.label,
            line=line,
        ) from error


def _open(file: InputFile) -> IO[bytes]:
    """Open a regular file; between the look and the open it may have become a pipe, which must not make us wait."""
    descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise not_regular(file.path, mode)
    return os.fdopen(descriptor, "rb", buffering=0)


def _unpacker(packed: str, stream: _Hashing) -> Any:
    raw = cast("IO[bytes]", stream)
    if packed == "gz":
        return gzip.GzipFile(fileobj=raw)
    if packed == "bz2":
        return bz2.BZ2File(raw)
    if packed == "xz":
        return lzma.LZMAFile(raw)
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")


def _last_record_end(data: bytes) -> int:
    """Return the end of the last whole record: after a line end that is outside quotes."""
    cut = data.rfind(b"\n") + 1
    if not cut or b'"' not in data:
        return cut
    quotes = data.count(b'"', 0, cut)
    while quotes % 2:
        earlier = data.rfind(b"\n", 0, cut - 1) + 1
        quotes -= data.count(b'"', earlier, cut)
        cut = earlier
    return cut


class _Hashing(io.RawIOBase):
    """A readable stream that hashes what passes through it."""

    def __init__(self, handle: IO[bytes]) -> None:
        super().__init__()
        self._handle = handle
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._handle.read(size)
        self._hash.update(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def finish(self, *, start_anew: bool = False) -> str:
        """Return the hash of the whole file, reading what an unpacker left unread; all of an archive, read from its end."""
        if start_anew:
            self._handle.seek(0)
        while self.read(BLOCK_BYTES):
            pass
        return self._hash.hexdigest()
