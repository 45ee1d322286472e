"""Reads a pickle of tensors without unpickling: nothing is imported and nothing is called.

A pickle is a program for a small machine with a stack, and Python's unpickler runs whatever it
says. Here `pickletools` only splits it into its instructions, and those that a dictionary of
tensors needs are carried out on plain values: texts, numbers, tuples, lists, dictionaries, and the
three kinds below for what PyTorch writes. Any other instruction or name is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

#: NumPy's types by the names of PyTorch's kinds of storage.
STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
}

_DICTIONARY = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"

#: More than a network of a hundred thousand tensors has, so that a lie cannot fill the memory.
_MOST_INSTRUCTIONS = 5_000_000


class NotTensors(Exception):
    """The pickle is something else than a dictionary of tensors; the text says what."""


@dataclass(frozen=True, slots=True)
class Name:
    """What would be imported: only the name of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers that lie elsewhere in the file.

    Attributes
    ----------
    key : str
        What they are called there.
    kind : str
        NumPy's type.
    count : int
        How many there are.
    """

    key: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """Which of a storage's numbers make a tensor: steps between them, in numbers, not in bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Where the items of a list, tuple or dictionary begin on the stack."""


def read_pickle(file: BytesIO) -> Any:
    """Read the pickle that begins where the file is, and leave the file at its end.

    Parameters
    ----------
    file : BytesIO
        In memory, where reading more than there is cannot fill it.

    Returns
    -------
    object
        Texts, numbers, tuples, lists, dictionaries, `Name`, `Storage` and `Tensor`.

    Raises
    ------
    NotTensors
        If it is broken or holds anything else.
    """
    machine = _Machine()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > _MOST_INSTRUCTIONS:
                raise NotTensors("it is too long")
            machine.step(opcode.name, argument)
        return machine.result()
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise NotTensors("it is broken") from error


class _Machine:
    """The stack and the memory."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def step(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction."""
        if instruction in _PASSED_OVER:
            return
        if instruction in _VALUES:
            self._stack.append(_VALUES[instruction](argument))
        elif instruction in _PUT:
            self._memory[argument] = self._stack[-1]
        elif instruction in _GET:
            self._stack.append(self._memory[argument])
        elif instruction in _SHORT_TUPLES:
            self._short_tuple(_SHORT_TUPLES[instruction])
        elif instruction in _OTHERS:
            _OTHERS[instruction](self)
        else:
            raise NotTensors(f"it has the instruction {instruction}, which no tensors need")

    def result(self) -> Any:
        (found,) = self._stack
        return found

    def _short_tuple(self, count: int) -> None:
        items = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def tuple(self) -> None:
        self._stack.append(tuple(self._items()))

    def append(self) -> None:
        item = self._stack.pop()
        _of(list, self._stack[-1]).append(item)

    def appends(self) -> None:
        items = self._items()
        _of(list, self._stack[-1]).extend(items)

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        _of(dict, self._stack[-1])[key] = value

    def set_items(self) -> None:
        items = self._items()
        _of(dict, self._stack[-1]).update(zip(items[::2], items[1::2], strict=True))

    def reduce(self) -> None:
        """A call: of these two, what they would make is put there; all others are refused."""
        arguments, name = self._stack.pop(), self._stack.pop()
        if name == Name(_DICTIONARY):
            self._stack.append(dict(*arguments))
        elif name == Name(_TENSOR):
            storage, offset, shape, strides, *_ = arguments
            self._stack.append(_tensor(storage, offset, shape, strides))
        else:
            raise NotTensors(f"it calls {name}")

    def build(self) -> None:
        """The attributes of a dictionary (PyTorch keeps version numbers there) are not needed."""
        self._stack.pop()
        _of(dict, self._stack[-1])

    def persistent(self) -> None:
        """Something outside of the pickle: a storage."""
        kind, name, key, _, count, *view = self._stack.pop()
        if kind != "storage" or any(view) or _of(Name, name).text not in STORAGES:
            raise NotTensors("it refers to something that is no storage of numbers")
        self._stack.append(Storage(str(key), STORAGES[name.text], _count(count)))

    def mark(self) -> None:
        self._stack.append(_Mark)

    def _items(self) -> list[Any]:
        """Take what is above the last mark from the stack, and the mark."""
        at = len(self._stack) - 1 - self._stack[::-1].index(_Mark)
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    if len(shape) != len(strides):
        raise NotTensors("a tensor has other steps than sides")
    sides, steps = tuple(map(_count, shape)), tuple(map(_count, strides))
    return Tensor(_of(Storage, storage), _count(offset), sides, steps)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise NotTensors(f"it has a {type(value).__name__} in place of a {kind.__name__}")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise NotTensors("a size in it is no size")
    return value


def _name(text: str) -> Name:
    if text not in {_DICTIONARY, _TENSOR, *STORAGES}:
        raise NotTensors(f"it refers to {text!r}, which no tensors need")
    return Name(text)


_PASSED_OVER = {"PROTO", "FRAME", "STOP"}
_PUT, _GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

_VALUES: dict[str, Callable[[Any], Any]] = {
    "GLOBAL": _name,
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
} | dict.fromkeys(
    (
        *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    ),
    lambda argument: argument,
)

_OTHERS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
