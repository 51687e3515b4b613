"""What ``nginx -V`` says: versions, and which modules were left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mtls_runner.model.case import satisfies

__all__ = ["NginxBuild"]

_NGINX = re.compile(r"nginx version: \w+/(\S+)")
_MODULES = re.compile(r"--modules-path=(\S+)")
_PREFIX = re.compile(r"--prefix=(\S+)")
_OPENSSL = re.compile(r"OpenSSL (\d\S+)")


@dataclass(frozen=True, slots=True)
class NginxBuild:
    """One nginx.

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
        found = _MODULES.search(self.told) or _PREFIX.search(self.told)
        folder = found[1] if found is not None else "/usr/local/nginx"
        return folder if "--modules-path" in self.told else f"{folder}/modules"

    def is_at_least(self, version: str) -> bool:
        """Whether it is of that version or a later one; not, where it doesn't say."""
        return satisfies(self.versions.get("nginx", ""), f">={version}")

    def has(self, module: str) -> bool:
        """Whether a module that is there by default (``http_proxy``) was not left out."""
        return f"--without-{module}_module" not in self.told
