"""What ``nginx -V`` says: versions, and which modules were left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from mtls_runner.model.case import satisfies
from mtls_runner.private_files import PrivateCache, user_cache

__all__ = ["NginxBuild", "build_in_image"]

_NGINX = re.compile(r"nginx version: \w+/(\S+)")
_MODULES = re.compile(r"--modules-path=(\S+)")
_CONFIGURATION = re.compile(r"--conf-path=(\S+)")
_PREFIX = re.compile(r"--prefix=(\S+)")
_OPENSSL = re.compile(r"OpenSSL (\d\S+)")


class NginxBuild(Struct, frozen=True):
    """What ``nginx -V`` says of one nginx.

    Args:
        told: all of its words.
    """

    told: str

    @property
    def versions(self) -> Mapping[str, str]:
        """nginx's and its OpenSSL's: it names the one that it was built with, then the one that it runs with, if they differ."""
        found = {"nginx": _NGINX.findall(self.told), "openssl (nginx)": _OPENSSL.findall(self.told)}
        return {name: versions[-1] for name, versions in found.items() if versions}

    @property
    def modules(self) -> str:
        """The folder of its dynamic modules."""
        found = _MODULES.search(self.told)
        return found[1] if found is not None else f"{self._prefix}/modules"

    @property
    def configuration(self) -> Path:
        """The ``nginx.conf`` that it reads where it is told no other."""
        found = _CONFIGURATION.search(self.told)
        return Path(self._prefix, found[1] if found is not None else "conf/nginx.conf")

    @property
    def _prefix(self) -> str:
        found = _PREFIX.search(self.told)
        return found[1] if found is not None else "/usr/local/nginx"

    def is_at_least(self, version: str) -> bool:
        """Whether it is of that version or a later one; not, where it doesn't say."""
        return satisfies(self.versions.get("nginx", ""), f">={version}")

    def has(self, module: str) -> bool:
        """Whether a module that is there by default (``http_proxy``) was not left out."""
        return f"--without-{module}_module" not in self.told


_IN_IMAGES: dict[str, NginxBuild] = {}


def build_in_image(image: str, ask: Callable[[], str]) -> NginxBuild:
    """The nginx of an image. An image never changes, and asking takes a process in a container: so its words are kept, in the
    user's cache.

    Args:
        image: its id.
        ask: what ``nginx -V`` says.

    Raises:
        LabError: the engine can't ask, or there is no place for a cache.
    """
    if image not in _IN_IMAGES:
        cache, name = PrivateCache(user_cache() / "nginx-builds"), image.rpartition(":")[2]
        kept = cache.load(name)
        build = _IN_IMAGES[image] = NginxBuild(kept.decode() if kept is not None else ask())
        if kept is None and build.versions:
            cache.save(name, build.told.encode())
    return _IN_IMAGES[image]
