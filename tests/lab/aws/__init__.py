"""AWS's stand-ins: moto for the API, a proxy that makes it fail, containers as its instances, the metadata service."""

from aws.cloud import Cloud
from aws.emulator import Emulator, Instance
from aws.imds import Metadata
from aws.proxy import Call, Offering, Proxy

__all__ = ["Call", "Cloud", "Emulator", "Instance", "Metadata", "Offering", "Proxy"]
