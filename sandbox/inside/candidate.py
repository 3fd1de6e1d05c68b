"""The role of a job that loads untrusted code as a module and returns values of it.

It receives ["load", code, module name] once and then requests, which it answers in order. It is sent functions and
arguments, never expected values. The other end is the parent, or a tester, which is a job of its own.

    ["call", number, path, arguments]             call a function of the module with fresh copies of the arguments
    ["do", number, operation, target, arguments]  for testers: objects that cannot be sent stay here, under a number

    answers: ["value", number, value] (and for "do": arguments changed in place, what was printed),
             ["raised", number, type, text, built-in bases], ["opaque", number, why]
"""

import builtins
import contextlib
import io
import sys
import types
from collections.abc import Callable
from typing import Any

from .frames import LOADED, BadFrame, pack, read_frame, write_bytes, write_frame
from .values import BadValue, NotPlain, decode, encode

MAX_PRINTED = 100_000  # characters of standard output that a test may inspect, per call
MAX_TEXT = 500  # characters of an exception's message that are sent


class SourceLoader:
    """The part of a loader that `inspect` and tracebacks use: it returns the source of a module without a file."""

    def __init__(self, code: str) -> None:
        self._code = code

    def get_source(self, name: str) -> str:
        return self._code


def load(code: str, name: str) -> types.ModuleType:
    """Run `code` as the module `name`, as an interpreter would run a file with that content."""
    module = types.ModuleType(name)
    module.__file__ = f"{sys.path[0]}/{name}.py"
    module.__loader__ = SourceLoader(code)  # type: ignore[assignment]
    sys.modules[name] = module
    exec(compile(code.removeprefix("\ufeff"), module.__file__, "exec", dont_inherit=True), module.__dict__)
    return module


def serve(channel: int, request: Any) -> None:
    """Play the role; `request` is the first one, ["load", ...]."""
    _, code, name = request
    try:
        module = load(code, name)
    except BaseException as error:  # SystemExit too: leaving before the tests is a failure of the program
        write_frame(channel, ["failed", *describe(error)])
        return
    write_bytes(channel, LOADED)
    objects = Objects(module)
    while (request := read_frame(channel)) not in (None, ["end"]):
        write_bytes(channel, _answer(module, objects, request))


def _answer(module: types.ModuleType, objects: "Objects", request: Any) -> bytes:
    kind, number = request[:2]
    try:
        if kind == "call":
            result = find(module, request[2])(*[decode(item) for item in request[3]])
            return pack(["value", number, encode(result)])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result, changed = objects.do(*request[2:])
        return pack(["value", number, encode(result, objects.keep), changed, printed.getvalue()[:MAX_PRINTED]])
    except (NotPlain, BadFrame) as error:
        return pack(["opaque", number, str(error)[:MAX_TEXT]])
    except BaseException as error:
        return pack(["raised", number, *describe(error), _built_in_bases(type(error))])


def find(module: types.ModuleType, path: str) -> Any:
    """Look up a dotted name. A bare name may also be a method of a class `Solution`, instantiated for each call."""
    head, *rest = path.split(".")
    if not rest and not hasattr(module, head) and isinstance(getattr(module, "Solution", None), type):
        return getattr(module.Solution(), head)
    try:
        target = getattr(module, head)
    except AttributeError:
        raise NameError(f"name {head!r} is not defined") from None
    for name in rest:
        target = getattr(target() if isinstance(target, type) else target, name)
    return target


class Objects:
    """The objects that a tester holds only by number: instances, classes, functions and generators of the module."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._kept: list[object] = []

    def keep(self, value: object) -> list[Any]:
        self._kept.append(value)
        if isinstance(value, type) and issubclass(value, Exception):
            return ["remote", len(self._kept) - 1, "exception", value.__name__, _built_in_bases(value)]
        name = value.__name__ if isinstance(value, type) else type(value).__name__
        return ["remote", len(self._kept) - 1, "object", name, []]

    def do(self, operation: str, target: Any, arguments: Any) -> tuple[object, Any]:
        """The result; and the arguments after a call that returns None, since such functions work in place."""
        values = [decode(item, self._known) for item in arguments[0]]
        keywords = {key: decode(item, self._known) for key, item in arguments[1]}
        if operation == "name":
            return find(self._module, target), None
        if operation == "public":
            return [name for name in vars(self._module) if not name.startswith("_")], None
        result = _OPERATIONS[operation](self._kept[target], *values, **keywords)
        changed = None
        if operation == "call" and result is None:
            changed = [
                encode(value, self.keep) if type(value) in (list, dict, set, bytearray) else None for value in values
            ]
        return result, changed

    def _known(self, message: list[Any]) -> object:
        if message[0] != "remote" or len(message) != 2:
            raise BadValue("not a value: unknown tag")
        return self._kept[message[1]]


_OPERATIONS: dict[str, Callable[..., object]] = {
    "call": lambda target, *arguments, **keywords: target(*arguments, **keywords),
    "getattr": getattr,
    "setattr": setattr,
    "len": len,
    "bool": bool,
    "str": str,
    "iter": iter,
    "next": next,
    "getitem": lambda target, key: target[key],
    "setitem": lambda target, key, value: target.__setitem__(key, value),
    "enter": lambda target: target.__enter__(),
    "exit": lambda target: target.__exit__(None, None, None),
    "isinstance": lambda target, value: isinstance(value, target),
}


def _built_in_bases(kind: type) -> list[str]:
    return [base.__name__ for base in type.mro(kind) if base.__module__ == builtins.__name__]


def describe(error: BaseException) -> tuple[str, str]:
    """An exception's type and message."""
    try:
        return type(error).__name__, str(error)[:MAX_TEXT]
    except BaseException:  # its `__str__` raises
        return type(error).__name__, ""
