"""What a host takes the time to be. All in ns."""


class Clock:
    """A monotonic clock that runs at `rate` of true time, and a wall clock that is `offset` ahead of it.

    Real monotonic clocks drift; only wall clocks are set, by people and by NTP. Both agree with true time at 0 unless told otherwise.
    """

    __slots__ = ("_local", "_true", "offset", "plain", "rate")

    def __init__(self, offset: int = 0, rate: float = 1.0) -> None:
        self.offset, self.rate = offset, rate
        self._true = self._local = 0
        self.plain = rate == 1
        """Whether the monotonic clock shows true time."""

    def local(self, true: int) -> int:
        """The monotonic clock at this true time."""
        return true if self.plain else self._local + round((true - self._true) * self.rate)

    def true(self, local: int) -> int:
        """The first true time at which the monotonic clock shows this, at its present rate.

        A timer that rang a rounding earlier would find that it is not due, and be set for the same moment for ever.
        """
        if self.plain:
            return local
        at = self._true + round((local - self._local) / self.rate)
        while self.local(at) < local:
            at += 1
        while self.local(at - 1) >= local:
            at -= 1
        return at

    def wall(self, true: int) -> int:
        """The wall clock at this true time."""
        return self.local(true) + self.offset

    def set(self, true: int, offset: int, rate: float) -> None:
        """From now on: the wall clock jumps, the monotonic one changes its pace only."""
        self._local, self._true = self.local(true), true
        self.offset, self.rate = offset, rate
        self.plain = rate == 1 and self._local == self._true
