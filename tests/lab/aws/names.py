"""A name server for the workers: the real names of AWS' services lead to the lab, all others to nowhere."""

import ipaddress
import socket
import struct
import threading

TYPE_A, CLASS_IN = 1, 1


class Names:
    """Answers for exact names and for the suffixes that start with a dot; NXDOMAIN for the rest."""

    def __init__(self, address: str) -> None:
        """Listens on port 53 of `address`, over UDP; no answer here needs more."""
        self.table: dict[str, str] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._socket.close()

    def lookup(self, name: str) -> str | None:
        """The address of a name; the longest suffix counts."""
        name = name.lower().rstrip(".")
        suffixes = [key for key in self.table if key == name or (key.startswith(".") and name.endswith(key))]
        return self.table[max(suffixes, key=len)] if suffixes else None

    def _serve(self) -> None:
        while True:
            try:
                query, sender = self._socket.recvfrom(512)
                self._socket.sendto(self.answer(query), sender)
            except OSError:
                return
            except (ValueError, IndexError, struct.error):
                continue

    def answer(self, query: bytes) -> bytes:
        """One message of RFC 1035: the question again, and one A record or none."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
            at += 1 + query[at]
        kind, _ = struct.unpack("!HH", query[at + 1:at + 5])
        found = self.lookup(".".join(labels))
        question = query[12:at + 5]
        records = b""
        if found is not None and kind == TYPE_A:
            records = struct.pack("!HHHIH", 0xC00C, TYPE_A, CLASS_IN, 5, 4) + ipaddress.IPv4Address(found).packed
        flags = 0x8580 if found is not None else 0x8583
        return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records
