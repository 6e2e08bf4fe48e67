"""A sample."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Callable, Dict, Generic, Iterable, List, NamedTuple, Optional, TypeVar, Union

T = TypeVar("T")


class Color(Enum):
    RED = 1

    def label(self) -> str:
        return self.name.lower()


@dataclass
class Item:
    name: str
    price: float
    quantity: int

    def cost(self) -> float:
        """What it costs {really}."""
        return self.price * self.quantity

    @property
    def title(self):
        return f"{self.name}!"

    @staticmethod
    def parse(text: str) -> "Item":
        name, price = text.split("=")
        return Item(name, float(price), 1)

    @classmethod
    def free(cls, name: str) -> Item:
        return cls(name, 0.0, 1)


class Point(NamedTuple):
    x: int
    y: int = 0

    def norm(self) -> int:
        return abs(self.x) + abs(self.y)


class Cart(Generic[T]):
    def __init__(self, owner, limit=10):
        self.owner = owner
        self.limit = limit
        self.items: List[Item] = []

    def add(self, item: Item) -> None:
        if len(self.items) >= self.limit:
            raise OverflowError("full")
        self.items.append(item)

    def total(self) -> float:
        return sum(item.cost() for item in self.items)

    async def checkout(self, rate: float = 0.5):
        await asyncio.sleep(0)
        return self.total() * rate

    def __len__(self):
        return len(self.items)

    def _private(self):
        return 1

    class Nested:
        def hello(self):
            return "hello"


class Counter:
    def __init__(self, start: int, step: int):
        self.count = start
        self.step = step

    def bump(self):
        self.count += self.step
        return self.count


def add(a: int, b: int) -> int:
    return a + b


def divide(a, b):
    """Divides."""
    return a / b


def greet(name, greeting="Hello"):
    if not name:
        return greeting + ", stranger"
    return f"{greeting}, {name}"


def clamp(x: int, low: int, high: int) -> int:
    if low > high:
        raise ValueError(f"{low} > {high}")
    return max(low, min(x, high))


def average(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def is_even(n: int) -> bool: return n % 2 == 0


def squares(numbers: Iterable[int]) -> list[int]:
    return [n ** 2 for n in numbers if n > 0]


def word_count(text):
    return len(text.split())


def first(items: Optional[List[str]] = None, *, default: str) -> Union[str, None]:
    return items[0] if items else default


def fizzbuzz(n: int) -> str:
    if n % 15 == 0:
        return "FizzBuzz"
    elif n % 3 == 0:
        return "Fizz"
    return str(n)


def count_up(limit: int):
    n = 0
    while n < limit:
        yield n
        n += 1


async def fetch(key: str) -> str:
    return key.upper()


def apply(f: Callable[[int], T], table: Dict[str, int]) -> dict[str, T]:
    return {key: f(value) for key, value in table.items()}


def roll():
    return random.randint(1, 6)


def forever():
    while True:
        time.sleep(1)


def thing():
    return object()


def nothing(x) -> None:
    pass


def quit_now(code: int):
    raise SystemExit(code)
