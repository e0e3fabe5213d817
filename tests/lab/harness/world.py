"""Everything around the manager: one for a whole run, because Docker and moto take seconds to start."""

import contextlib
from dataclasses import dataclass

from aws import Cloud, Emulator, Instance, Metadata, Proxy
from harness.host import METADATA, Host, cache_dir


@dataclass
class World:
    """The parts; a test gets its GitLab and its manager anew."""

    host: Host
    emulator: Emulator
    proxy: Proxy
    cloud: Cloud
    metadata: Metadata

    @classmethod
    def start(cls) -> "World":
        """Starts all parts."""
        host = Host(cache_dir())
        emulator = Emulator()

        def by_address(address: str) -> Instance | None:
            return next((item for item in emulator.instances() if item.live and item.address == address), None)

        return cls(host, emulator, Proxy(emulator), Cloud(host, emulator), Metadata(METADATA, by_address))

    def close(self) -> None:
        """Stops all parts, the daemon last."""
        with contextlib.ExitStack() as stack:
            for part in (self.host, self.emulator, self.proxy, self.metadata, self.cloud):
                stack.callback(part.close)
