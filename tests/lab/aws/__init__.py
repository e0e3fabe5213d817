"""AWS's stand-ins: moto for the API, a proxy that makes it fail, containers as its instances, the metadata service,
a name server, ECR."""

from aws.cloud import Cloud
from aws.ecr import Ecr
from aws.emulator import Emulator, Instance
from aws.imds import Metadata
from aws.names import Names
from aws.proxy import Call, Offering, Proxy

__all__ = ["Call", "Cloud", "Ecr", "Emulator", "Instance", "Metadata", "Names", "Offering", "Proxy"]
