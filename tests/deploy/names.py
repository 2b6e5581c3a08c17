"""A DNS server for one name with several addresses, as Docker's own answers for the replicas of a service."""

from __future__ import annotations

import socket
import struct
import threading

_ANSWER = 0x8580
"""A reply, authoritative, with recursion asked for and given."""
_A = 1
_NO_SUCH_NAME = 3


class Names:
    """Answers on a UDP port of 127.0.0.1 with `addresses`, which may change at any time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        # An empty question ends the thread: closing a socket does not wake who waits for it.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(4096)
            if not question:
                return
            self._socket.sendto(self._answer(question), sender)

    def _answer(self, question: bytes) -> bytes:
        labels, place = [], 12
        while question[place]:
            length = question[place]
            labels.append(question[place + 1 : place + 1 + length].decode())
            place += length + 1
        (kind,) = struct.unpack("!H", question[place + 1 : place + 3])
        asked = question[12 : place + 5]
        known = ".".join(labels) == self._name
        found = self.addresses if known and kind == _A else []
        # Each record points to the name in the question, at byte 12.
        records = b"".join(struct.pack("!HHHIH", 0xC00C, _A, 1, 1, 4) + socket.inet_aton(one) for one in found)
        status = _ANSWER if known and self.addresses else _ANSWER | _NO_SUCH_NAME
        return question[:2] + struct.pack("!HHHHH", status, 1, len(found), 0, 0) + asked + records
