"""The keys of one Redis server, and the commands on them that locks are made of."""
from collections.abc import Callable
from functools import partial

import msgspec

from diarchy.clusters.simulated.hosts import SimulatedHost


class SetNx(msgspec.Struct, frozen=True):
    """`SET key value NX PX ttl`: 1 if nobody had the key. `ttl` in ns."""

    key: str
    value: str
    ttl: int


class Extend(msgspec.Struct, frozen=True):
    """`PEXPIRE key ttl`: 1 if there is such a key; with a value, a Lua script that looks first whether the key has it. `ttl` in ns."""

    key: str
    value: str | None
    ttl: int


class Delete(msgspec.Struct, frozen=True):
    """`DEL key`: 1 if there was such a key; with a value, a Lua script that looks first whether the key has it."""

    key: str
    value: str | None


class Incr(msgspec.Struct, frozen=True):
    """`INCR key`: what it has come to."""

    key: str


class Get(msgspec.Struct, frozen=True):
    """`GET key`: its value, or None."""

    key: str


Write = SetNx | Extend | Delete | Incr


class Entry(msgspec.Struct, frozen=True):
    """`ends` by a wall clock, ns; None: never."""

    value: str
    ends: int | None = None


class Keyspace:
    """Keys end by the wall clock of their server, as Redis expires by gettimeofday: a clock that is set lets them go early, or late."""

    def __init__(self, host: SimulatedHost) -> None:
        self.entries: dict[str, Entry] = {}
        self._host = host

    def get(self, key: str) -> str | None:
        entry = self.entries.get(key)
        return None if entry is None or self._over(entry) else entry.value

    def expire(self) -> bool:
        """Delete what has ended, for good: no clock that is set back revives it. Whether there was any."""
        ended = [key for key, entry in self.entries.items() if self._over(entry)]
        for key in ended:
            del self.entries[key]
        return bool(ended)

    def write(self, command: Write) -> int:
        """0 where nothing was written, else 1 or the number that INCR came to."""
        self.expire()
        match command:
            case SetNx(key, value, ttl):
                if key in self.entries:
                    return 0
                self.entries[key] = Entry(value, self._host.wall() + ttl)
            case Extend(key, value, ttl):
                if not self._has(key, value):
                    return 0
                self.entries[key] = Entry(self.entries[key].value, self._host.wall() + ttl)
            case Delete(key, value):
                if not self._has(key, value):
                    return 0
                del self.entries[key]
            case Incr(key):
                number = int(self.entries[key].value) + 1 if key in self.entries else 1
                self.entries[key] = Entry(str(number))
                return number
        return 1

    def _has(self, key: str, value: str | None) -> bool:
        return key in self.entries and value in (None, self.entries[key].value)

    def _over(self, entry: Entry) -> bool:
        return entry.ends is not None and entry.ends <= self._host.wall()


def expire_when_set(host: SimulatedHost, expire: Callable[[], object]) -> None:
    """Whenever the clocks of the host are set while it runs, what has ended by the new time is deleted at once."""
    host.changed.append(partial(_if_awake, host, expire))


def _if_awake(host: SimulatedHost, expire: Callable[[], object]) -> None:
    if host.awake:
        expire()
