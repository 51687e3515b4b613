"""Files that configurations include and that say nothing about who may enter: where there are none, these do."""

from __future__ import annotations

import posixpath

__all__ = ["USUAL", "stand_in"]

_MIME = (
    b"types { text/html html htm; text/css css; text/plain txt; application/javascript js; application/json json; }\n"
)
_FORWARDED = b"""\
proxy_set_header Host $http_host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
"""
_OF_IMAGES = {"mime.types": _MIME} | dict.fromkeys(
    ("fastcgi_params", "uwsgi_params", "scgi_params", "koi-utf", "koi-win", "win-utf"), b""
)
"""nginx's own; every image has them."""
_OF_SOME = {
    "fastcgi.conf": b"",
    "fastcgi-php.conf": b"fastcgi_index index.php;\n",
    "proxy_params": _FORWARDED,
    "options-ssl-nginx.conf": b"ssl_session_timeout 1440m; ssl_protocols TLSv1.2 TLSv1.3;\n",
}
"""Debian's, and certbot's."""
USUAL = frozenset(_OF_IMAGES | _OF_SOME)


def stand_in(path: str, *, of_image: bool) -> bytes | None:
    """What to put there; ``None``: nothing.

    Args:
        path: of a file that an ``include`` names and that is not the author's.
        of_image: whether an image has brought nginx's own.
    """
    name = posixpath.basename(path)
    return _OF_SOME.get(name) if of_image else (_OF_IMAGES | _OF_SOME).get(name)
