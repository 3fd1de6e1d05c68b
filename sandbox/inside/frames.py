"""Length-prefixed JSON frames over a stream socket: four bytes of length, big-endian, then UTF-8 JSON.

Both ends limit what they read. Nothing is assumed about a frame but that it is JSON; its reader checks the content.
"""

import json
import os
from collections.abc import Callable, Iterator

HEADER_BYTES = 4
MAX_FRAME_BYTES = 64 << 20
_MAX_ITEMS = 4_000_000  # a limit on small JSON items, which take far more memory than their text


class BadFrame(ValueError):
    """The bytes are not a frame: too long, cut short, or not JSON."""


class FrameTooLarge(BadFrame):
    """More bytes or items than the reader allows."""


def pack(message: object) -> bytes:
    body = _to_json(message).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"a frame of {len(body)} bytes is longer than {MAX_FRAME_BYTES}")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def unpack(body: bytes) -> object:
    if len(body) > _MAX_ITEMS and body.count(b"[") + body.count(b",") > _MAX_ITEMS:
        raise FrameTooLarge("more items than allowed")
    try:
        text = body.decode()
        message, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {type(error).__name__}") from None
    if end != len(text):
        raise BadFrame("not JSON: it is followed by other text")
    return message


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")  # floats are sent as hexadecimal text, see values.py


def _encoder() -> Callable[[object], str]:
    """The encoder that `json.JSONEncoder` builds anew for each message, which costs a job ten copied pages."""
    encoder = json.JSONEncoder(separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    parts = make(None, encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    return lambda message: "".join(parts(message, 0))


_to_json = _encoder()
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


# Written before the job receives the program, and after it has loaded the program.
READY, LOADED = pack(["ready"]), pack(["loaded"])


def write_frame(channel: int, message: object) -> None:
    """Write all of `message` to the descriptor `channel`. Blocks."""
    write_bytes(channel, pack(message))


def write_bytes(channel: int, frame: bytes) -> None:
    while frame:
        frame = frame[os.write(channel, frame) :]  # in one call, unless the frame exceeds the socket's buffer


def read_exactly(channel: int, count: int) -> bytes:
    """Read `count` bytes, or fewer if the other end closed."""
    pieces = []
    while count > 0:
        piece = os.read(channel, min(count, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def read_frame(channel: int) -> object | None:
    """The next message; None if the other end closed between two frames. Blocks."""
    header = read_exactly(channel, HEADER_BYTES)
    if not header:
        return None
    length = int.from_bytes(header, "big")
    if len(header) < HEADER_BYTES or length > MAX_FRAME_BYTES:
        raise BadFrame("a broken header")
    body = read_exactly(channel, length)
    if len(body) < length:
        raise BadFrame("a frame cut short")
    return unpack(body)


class FrameBuffer:
    """Collects bytes as they arrive and yields whole frames; accepts `max_bytes` in total."""

    def __init__(self, max_bytes: int) -> None:
        self._bytes = bytearray()
        self._room = max_bytes

    def feed(self, data: bytes) -> Iterator[object]:
        self._room -= len(data)
        if self._room < 0:
            raise FrameTooLarge("more bytes than allowed")
        self._bytes += data
        while len(self._bytes) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(self._bytes[:HEADER_BYTES], "big")
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[HEADER_BYTES:end])
            del self._bytes[:end]
            yield unpack(body)

    @property
    def pending(self) -> bool:
        """Whether part of an unfinished frame is left."""
        return bool(self._bytes)
