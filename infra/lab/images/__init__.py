"""The three images that a lab pulls: prober, coredns and pause, made on this machine and kept as a registry's storage.

`provide_images` returns the storage folder, which a lab's own registry serves read-only, and the digests to pull by.
"""

from kip_conformance.infra.lab.images.provide import Images, provide_images

__all__ = ["Images", "provide_images"]
