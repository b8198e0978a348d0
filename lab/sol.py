"""Serial over LAN: a machine's serial port inside an RMCP+ session (IPMI 2.0, chapter 15).

Numbers, acknowledges and repeats the packets; where the bytes come from and go
to is given by two functions. No sockets, no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable

MAX_PAYLOAD = 252
MAX_CHARACTERS = MAX_PAYLOAD - 4
BACKLOG = 64 * 1024
REPEAT_SECONDS = 1.0
REPEATS = 8

_NACK = 0x40


class SerialOverLan:
    """One active console. ``send`` takes a payload, ``to_serial`` the typed bytes."""

    def __init__(self, send: Callable[[bytes], None], to_serial: Callable[[bytes], None]) -> None:
        self._send = send
        self._to_serial = to_serial
        self._waiting = bytearray()
        self._in_flight = b""
        self._sequence = 0
        self._sent_at = 0.0
        self._repeats = 0
        self._heard = 0

    @property
    def full(self) -> bool:
        """Whether the serial port should not be read for now."""
        return len(self._waiting) >= BACKLOG

    @property
    def repeat_at(self) -> float | None:
        """When ``tick`` has to be called, None when nothing is under way."""
        return self._sent_at + REPEAT_SECONDS if self._in_flight else None

    def output(self, data: bytes, now: float) -> None:
        """Bytes that the machine wrote."""
        self._waiting += data
        self._send_next(now)

    def packet(self, payload: bytes, now: float) -> None:
        """A payload of the client (15.9): characters, an acknowledgement, or both."""
        if len(payload) < 4:
            return
        sequence, acknowledged, accepted, status = payload[0] & 15, payload[1] & 15, *payload[2:4]
        if sequence:
            characters = payload[4:]
            self._send(bytes([0, sequence, len(characters), 0]))
            # A repeated packet keeps its number: its characters were typed already.
            if sequence != self._heard and characters:
                self._to_serial(bytes(characters))
            self._heard = sequence
        if self._in_flight and acknowledged == self._sequence:
            if status & _NACK:
                self._waiting[:0] = self._in_flight[accepted:]
            self._in_flight = b""
            self._send_next(now)

    def tick(self, now: float) -> bool:
        """Repeat what was not acknowledged. False when the client seems gone."""
        if not self._in_flight or now - self._sent_at < REPEAT_SECONDS:
            return True
        if self._repeats >= REPEATS:
            return False
        self._repeats += 1
        self._transmit(now)
        return True

    def _send_next(self, now: float) -> None:
        if self._in_flight or not self._waiting:
            return
        self._in_flight = bytes(self._waiting[:MAX_CHARACTERS])
        del self._waiting[:MAX_CHARACTERS]
        self._sequence = self._sequence % 15 + 1
        self._repeats = 0
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        self._sent_at = now
        self._send(bytes([self._sequence, 0, 0, 0]) + self._in_flight)
