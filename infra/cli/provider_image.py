"""Write the reference provider's image as an OCI archive, for `ctr images import` or `skopeo copy`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kip_conformance.infra.lab.images.provider_image import image_name, write_provider_image

HELP = "write the reference provider's image as an OCI archive"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the archive to write, for example kip-provider.tar")


def run(options: argparse.Namespace) -> int:
    path = options.file.absolute()
    digest = write_provider_image(path, lambda line: print(line, file=sys.stderr))
    print(f"{path}: {image_name()} {digest}")
    return 0
