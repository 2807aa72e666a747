"""Where the lab's programs come from: Kubernetes, etcd, CoreDNS, containerd, and unpacked distribution packages.

`components.toml` says which versions belong together and how each is had; `provide` returns a path for every binary.
Configuring and starting the programs is not done here.
"""

from kip_conformance.infra.lab.binaries.cache import cache_root
from kip_conformance.infra.lab.binaries.catalogue import known_versions
from kip_conformance.infra.lab.binaries.packages import install_list, unpacked_binary
from kip_conformance.infra.lab.binaries.provide import Toolset, provide

__all__ = ["Toolset", "cache_root", "install_list", "known_versions", "provide", "unpacked_binary"]
