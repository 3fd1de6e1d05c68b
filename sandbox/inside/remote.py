"""The tester's proxies for functions and objects in the candidate's process.

Plain values arrive as plain values. Anything else is a `Remote`: calls, indexing, iteration and attribute access are
carried out in the candidate's process. Comparison is not, because an object that claims to equal everything would then
pass. A remote object is unequal to every plain value, and comparing two remote objects is refused.
"""

import builtins
import sys
from collections.abc import Iterator
from typing import Any

from .frames import BadFrame, read_frame, write_frame
from .values import NotPlain, decode, encode

_WITHOUT_MESSAGE = (
    UnicodeDecodeError,
    UnicodeEncodeError,
    UnicodeTranslateError,
)  # their constructors take more than a message


class Gone(Exception):
    """The candidate's process ended or broke the protocol: it cannot answer any more."""


class NotReady(Exception):
    """The candidate's job ended before it received the program: the sandbox is at fault."""


class Inexpressible(Exception):
    """The test needs something that cannot be done across processes without trusting the candidate."""


class CandidateError(Exception):
    """Stands for an exception of the candidate that has no counterpart among the subclasses of `Exception` here."""


class Link:
    """The connection to one candidate."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._number = 0
        self._exceptions: dict[str, type[Exception]] = {}
        self.unsafe = ""  # the first thing that could not be expressed
        self.gone = ""

    def load(self, code: str, module: str) -> None:
        """Send the program. Raises Gone if it could not be loaded, NotReady if the program cannot be the cause."""
        try:
            greeting = read_frame(self._channel)  # written before the job receives anything
            if greeting != ["ready"]:
                raise NotReady(f"a job could not be confined: {greeting}")
            write_frame(self._channel, ["load", code, module])
        except (BadFrame, OSError) as error:
            raise NotReady(f"a job ended before it was given a program: {error}") from None
        reply = self._read()
        if reply[:1] not in (["loaded"], ["failed"]):
            raise self._mark_gone("the program's process broke the protocol")
        if reply[0] == "failed":
            raise self._mark_gone(f"{reply[1]}: {reply[2]}")

    def name(self, path: str) -> Any:
        return self._ask("name", path, (), {})

    def public_names(self) -> list[str]:
        names = self._ask("public", None, (), {})
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def do(self, operation: str, target: int, *arguments: object, **keywords: object) -> Any:
        return self._ask(operation, target, arguments, keywords)

    def refuse(self, why: str) -> Inexpressible:
        self.unsafe = self.unsafe or why
        return Inexpressible(why)

    def _ask(self, operation: str, target: object, arguments: tuple[object, ...], keywords: dict[str, object]) -> Any:
        if self.gone:
            raise Gone(self.gone)
        self._number += 1
        try:
            encoded = [
                [encode(item, self._outgoing) for item in arguments],
                [[key, encode(item, self._outgoing)] for key, item in keywords.items()],
            ]
        except NotPlain as error:
            raise self.refuse(str(error)) from None
        try:
            write_frame(self._channel, ["do", self._number, operation, target, encoded])
        except OSError:
            raise self._mark_gone("the program's process ended") from None
        answer = self._read()
        if type(answer) is not list or len(answer) < 3 or answer[1] != self._number:
            raise self._mark_gone("the program's process broke the protocol")
        if answer[0] == "raised" and len(answer) == 5:
            kind = self._exception(answer[2], answer[4])
            if issubclass(kind, StopIteration) and operation != "next":
                # Passed on, it would end a `map` in the test early, and `all` of nothing is true.
                raise CandidateError(f"the program raised {kind.__name__}")
            raise kind(answer[3])
        if answer[0] == "opaque":
            raise CandidateError(answer[2])
        if answer[0] != "value" or len(answer) != 5 or type(answer[4]) is not str:
            raise self._mark_gone("the program's process broke the protocol")
        try:
            result = decode(answer[2], self._incoming)
            sys.stdout.write(answer[4])  # a test may capture the output of the program
            if answer[3]:
                self._copy_back(arguments, answer[3])
        except (ValueError, TypeError) as error:
            raise self._mark_gone(str(error)) from None
        return result

    def _read(self) -> Any:
        try:
            message = read_frame(self._channel)
        except (BadFrame, OSError) as error:
            raise self._mark_gone(f"the program's process broke the protocol: {error}") from None
        if message is None:
            raise self._mark_gone("the program's process ended")
        return message

    def _mark_gone(self, why: str) -> Gone:
        self.gone = self.gone or why
        return Gone(self.gone)

    def _copy_back(self, arguments: tuple[Any, ...], changed: list[Any]) -> None:
        for argument, message in zip(arguments, changed, strict=True):
            if message is None:
                continue
            value = decode(message, self._incoming)
            if type(value) is not type(argument):
                raise ValueError("not a value: an argument changed its type")
            if isinstance(argument, list | bytearray):
                argument[:] = value
            elif isinstance(argument, dict | set):
                argument.clear()
                argument.update(value)

    def _outgoing(self, value: object) -> list[Any]:
        if isinstance(value, Remote):
            return ["remote", object.__getattribute__(value, "_number")]
        raise NotPlain(f"an argument of type {type(value).__name__} cannot be sent to the program by value")

    def _incoming(self, message: list[Any]) -> object:
        tag, number, kind, name, bases = message
        if tag != "remote" or type(number) is not int:
            raise ValueError("not a value: unknown tag")
        return self._exception(name, bases) if kind == "exception" else Remote(self, number, str(name))

    def _exception(self, name: Any, bases: Any) -> type[Exception]:
        """The class to raise here for an exception there: the built-in one, or one derived from its built-in base."""
        for base_name in bases if type(bases) is list else []:
            base = getattr(builtins, base_name, None) if type(base_name) is str else None
            if isinstance(base, type) and issubclass(base, Exception):
                if base.__name__ == name and base not in _WITHOUT_MESSAGE:
                    return base
                if str(name) not in self._exceptions:
                    methods = {"__init__": lambda self, *args: None, "__str__": lambda self: str(self.args[0])}
                    self._exceptions[str(name)] = type(str(name), (base,), methods)
                return self._exceptions[str(name)]
        return CandidateError


class Remote:
    """A proxy for an object in the candidate's process."""

    def __init__(self, link: Link, number: int, name: str) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_name", name)

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        return _do(self, "call", *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__doc__", "__dict__"):
            raise AttributeError(name)
        return _do(self, "getattr", name)

    def __setattr__(self, name: str, value: object) -> None:
        _do(self, "setattr", name, value)

    def __len__(self) -> int:
        return int(_do(self, "len"))

    def __bool__(self) -> bool:
        return _do(self, "bool") is True

    def __str__(self) -> str:
        return str(_do(self, "str"))

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_name')} of the program>"

    def __iter__(self) -> Iterator[Any]:
        iterator = _do(self, "iter")
        while True:
            try:
                item = iterator.__next__()
            except StopIteration:
                return
            yield item

    def __next__(self) -> Any:
        return _do(self, "next")

    def __getitem__(self, key: object) -> Any:
        return _do(self, "getitem", key)

    def __setitem__(self, key: object, value: object) -> None:
        _do(self, "setitem", key, value)

    def __enter__(self) -> Any:
        return _do(self, "enter")

    def __exit__(self, *_: object) -> None:
        _do(self, "exit")

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Remote) and _do(self, "isinstance", instance) is True

    def __contains__(self, item: object) -> bool:
        return any(item is member or item == member for member in self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Remote):
            raise object.__getattribute__(self, "_link").refuse(
                "the test compares two objects of the program with each other"
            )
        return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__


def _do(remote: Remote, operation: str, *arguments: object, **keywords: object) -> Any:
    link: Link = object.__getattribute__(remote, "_link")
    return link.do(operation, object.__getattribute__(remote, "_number"), *arguments, **keywords)
