"""Everything around the manager: one for a whole run, because Docker and moto take seconds to start."""

import contextlib
from dataclasses import dataclass

from aws import Cloud, Ecr, Emulator, Instance, Metadata, Names, Proxy
from aws.ecr import ADDRESSES
from harness.host import BRIDGE, GATEWAY, METADATA, Host, cache_dir


@dataclass
class World:
    """The parts; a test gets its GitLab and its manager anew."""

    host: Host
    emulator: Emulator
    proxy: Proxy
    cloud: Cloud
    metadata: Metadata
    names: Names

    @classmethod
    def start(cls) -> "World":
        """Starts all parts."""
        host = Host(cache_dir())
        emulator = Emulator()

        def by_address(address: str) -> Instance | None:
            return next((item for item in emulator.instances() if item.live and item.address == address), None)

        return cls(host, emulator, Proxy(emulator), Cloud(host, emulator), Metadata(METADATA, by_address), Names(GATEWAY))

    def start_ecr(self) -> Ecr:
        """ECR and its registries, for the cases that need them; the caller closes them."""
        for address in ADDRESSES:
            self.host.run("ip", "address", "replace", f"{address}/32", "dev", BRIDGE)
        return Ecr(self.host.place / "ecr", self.host.authority, self.emulator, self.metadata, self.names)

    def close(self) -> None:
        """Stops all parts, the daemon last."""
        with contextlib.ExitStack() as stack:
            for part in (self.host, self.emulator, self.proxy, self.metadata, self.names, self.cloud):
                stack.callback(part.close)
