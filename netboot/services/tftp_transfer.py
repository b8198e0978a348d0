"""One TFTP read transfer: windows of blocks out, acknowledgements in, until the end.

The hot path: a connected socket registered with the event loop, one receive and one
send for each window. The file and what was negotiated come from outside; requests,
sources and strangers are not seen here. RFC 1350, 1123 (section 4.2.3.1), 7440.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from time import monotonic

from netboot.content import COMPLETE, PROBED, UNCONFIRMED
from netboot.services import tftp_packet as packet
from netboot.services.tftp_blocks import Blocks
from netboot.services.tftp_options import Limits, Terms
from netboot.services.tftp_poll import Poll
from netboot.services.tftp_sockets import UDP_SEGMENT

MAX_PAUSE = 4.0
MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of Linux
MAX_BURST = 65000
LARGEST_CONTROL = 256  # an OACK or ERROR, which the kernel must not cut into segments
_UNACKNOWLEDGED_OACK = -1
_HEADER_SIZE = packet.HEADER.size
_unpack_header = packet.HEADER.unpack_from


@dataclass(frozen=True)
class Outcome:
    """``sent`` octets were acknowledged of ``total``; ``text`` says how it ended."""

    sent: int
    total: int
    text: str


class Transfer:
    """Sends ``blocks`` over a connected socket; owns both and closes them at its end."""

    def __init__(
        self,
        sock: socket.socket,
        blocks: Blocks,
        terms: Terms,
        limits: Limits,
        poll: Poll,
        inbox: bytearray,
    ) -> None:
        """``inbox`` is scratch memory that all transfers of one loop may share."""
        self._loop = loop = asyncio.get_running_loop()
        self._poll = poll
        self._sock = sock
        self._blocks = blocks
        self._terms = terms
        self._windowsize = terms.windowsize
        self._inbox = inbox
        self._receive = sock.recv_into
        self._send = sock.send
        self._window = blocks.window
        self._last = blocks.last
        # An OACK counts as block 0, and is acknowledged like one.
        self._base = _UNACKNOWLEDGED_OACK if terms.answered else 0
        self._in_flight = 0
        self._resent_for = -2
        self._first_pause = float(terms.timeout or limits.retry_seconds)
        self._longest_pause = float(terms.timeout or max(limits.retry_seconds, MAX_PAUSE))
        self._pause = self._first_pause
        self._patience = max(limits.patience_seconds, 4.0 * (terms.timeout or 0))
        self._deadline = self._heard = self._sent_at = monotonic()
        self._loading: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[Outcome] = loop.create_future()
        self._burst = blocks.stride
        if terms.windowsize > 1 and blocks.stride > LARGEST_CONTROL:
            self._segment(min(MAX_SEGMENTS, MAX_BURST // blocks.stride))

    async def run(self) -> Outcome:
        """Send everything; returns when the last block is acknowledged or all is lost."""
        self._poll.add(self._sock, self._readable)
        self._timer = self._loop.call_at(self._deadline + self._pause, self._tick)
        self._send_window()
        try:
            return await self._ended
        finally:
            self._timer.cancel()
            self._poll.remove(self._sock)
            self._sock.close()
            if self._loading is None:
                self._blocks.close()
            else:
                # A thread still reads into the buffer.
                self._loading.add_done_callback(lambda _: self._blocks.close())

    def end(self, text: str, *, tell: int | None = packet.NOT_DEFINED) -> None:
        """End now with this outcome; ``tell`` is the error code for the client, if any."""
        if self._ended.done():
            return
        if tell is not None:
            try:
                self._send(packet.error(tell, text))
            except OSError:
                pass
        blksize = self._terms.blksize
        sent = min(max(self._base, 0) * blksize, self._blocks.size)
        self._ended.set_result(Outcome(sent, self._blocks.size, text))

    @property
    def answered(self) -> bool:
        """Whether the client has acknowledged anything yet."""
        return self._base > (_UNACKNOWLEDGED_OACK if self._terms.answered else 0)

    def silence(self) -> float:
        """Seconds since the client last moved the transfer on."""
        return monotonic() - self._heard

    def repeat_first(self) -> None:
        """The client asks again, so it has not seen our first packet: repeat it now."""
        if not self.answered and self.silence() >= self._first_pause:
            self._send_window()

    def _readable(self) -> None:
        try:
            count = self._receive(self._inbox)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            self._client_gone()
            return
        except OSError:
            # What an ICMP message said of one packet; the timer decides about the transfer.
            return
        # Longer than an ACK is fine: network cards pad short frames.
        if count < _HEADER_SIZE:
            return
        opcode, number = _unpack_header(self._inbox)
        if opcode == packet.ACK:
            self._acknowledged(number)
        elif opcode == packet.ERROR:
            self._aborted(bytes(self._inbox[:count]))

    def _acknowledged(self, number: int) -> None:
        step = (number - self._base) & 0xFFFF
        if 0 < step <= self._in_flight:
            self._base += step
            self._pause = self._first_pause
            if self._base == self._last:
                self.end(COMPLETE, tell=None)
                return
            self._send_window()
            # After sending: one look at the clock serves both.
            self._heard = self._sent_at
        elif step == 0 and self._windowsize > 1 and self._in_flight:
            self._gap_reported()
        # Else an old or doubled one. Answering it would double every packet from here
        # to the end (the sorcerer's apprentice, RFC 1123).

    def _gap_reported(self) -> None:
        """The first block of a window was lost, the client says so by repeating itself.

        Believed once for each window, because a doubled datagram looks the same.
        """
        if self._base >= 0 and self._resent_for != self._base:
            self._resent_for = self._base
            self._heard = monotonic()
            self._send_window()

    def _aborted(self, data: bytes) -> None:
        if self._base <= 0 and "tsize" in self._terms.answered:
            self.end(PROBED, tell=None)
        else:
            self.end(f"ended by the client: error {packet.error_text(data)}", tell=None)

    def _client_gone(self) -> None:
        """Its port is closed. After the last block that means it has all it wanted."""
        text = UNCONFIRMED if self._all_sent() else "the client closed its port"
        self.end(text, tell=None)

    def _all_sent(self) -> bool:
        return self._in_flight > 0 and self._base + self._in_flight == self._last

    def _send_window(self) -> None:
        """Send what follows the last acknowledged block, for the first time or again."""
        self._sent_at = now = monotonic()
        self._deadline = now + self._pause
        if self._base < 0:
            self._in_flight = 1
            options = memoryview(packet.oack(self._terms.answered))
            self._put(options, len(options))
            return
        if self._loading is not None:
            return
        count = self._windowsize
        if count > self._last - self._base:
            count = self._last - self._base
        try:
            window = self._window(self._base + 1, count)
        except OSError as error:
            self._unreadable(error)
            return
        if window is None:
            self._load()
        else:
            self._in_flight = count
            self._put(window, self._burst)

    def _put(self, window: memoryview, burst: int) -> None:
        """Send packets that lie one behind the other, ``burst`` octets of them in one call.

        What cannot go now counts as lost.
        """
        try:
            if len(window) <= burst:
                self._send(window)
                return
            for start in range(0, len(window), burst):
                self._send(window[start : start + burst])
        except ConnectionRefusedError:
            self._client_gone()
        except OSError as error:
            if error.errno in (errno.EIO, errno.EINVAL) and burst > self._blocks.stride:
                # A network card or a path that cannot do segments.
                self._segment(1)
                self._put(window, self._burst)

    def _segment(self, segments: int) -> None:
        """Let the kernel cut one send into up to ``segments`` packets (UDP_SEGMENT)."""
        stride = self._blocks.stride
        try:
            self._sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, stride if segments > 1 else 0)
        except OSError:
            segments = 1
        self._burst = stride * segments

    def _load(self) -> None:
        """Let a thread wait for the disk; the window goes out when it is done."""
        self._in_flight = 0
        self._loading = self._loop.run_in_executor(None, self._blocks.load, self._base + 1)
        self._loading.add_done_callback(self._loaded)

    def _loaded(self, loading: asyncio.Future[None]) -> None:
        self._loading = None
        if self._ended.done():
            return
        error = loading.exception()
        if error is None:
            self._send_window()
        else:
            self._unreadable(error)

    def _unreadable(self, error: BaseException) -> None:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        self.end(f"the file could not be read: {reason}")

    def _tick(self) -> None:
        """Runs at each deadline that stood when the timer was set; most have moved on."""
        if self._ended.done():
            return
        now = monotonic()
        if now >= self._deadline:
            if now - self._heard >= self._patience:
                self._give_up()
                return
            self._pause = min(self._pause * 2, self._longest_pause)
            self._send_window()
        # Not simply the deadline: after an answer it comes nearer, and no timer is moved then.
        soon = min(self._deadline, now + self._first_pause)
        self._timer = self._loop.call_at(soon, self._tick)

    def _give_up(self) -> None:
        if self._loading is not None:
            self.end("the disk does not answer")
        elif self._all_sent():
            self.end(UNCONFIRMED, tell=None)
        else:
            self.end("the client does not answer")
