"""The lab's copy of somebody's configuration: it starts anywhere, and every ``server`` says who was refused and why.

What decides who gets in stays as it is. Changed is what ties the configuration to its machine (addresses to listen on, the user,
folders for logs, process ids and temporary files) and what would hide nginx's words. Nothing is added that has a line of its
own, and what is left out leaves its line breaks: a line number in nginx's messages is the author's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from mtls_runner.servers.nginx.read.listening import spoken
from mtls_runner.servers.nginx.read.statements import Statement, readable
from mtls_runner.servers.nginx.write.access_log import DIRECTIVES
from mtls_runner.servers.nginx.write.syntax import path_argument

__all__ = ["Changes", "has_unlisted", "instrument"]

_NOT_COPIED = re.compile(
    "daemon|master_process|pid|lock_file|use|worker_(cpu_affinity|priority|rlimit_nofile|rlimit_core)|working_directory"
    "|access_log|error_log|log_format|open_log_file_cache|client_body_temp_path|(proxy|fastcgi|uwsgi|scgi)_temp_path"
    "|limit_req|limit_req_(dry_run|log_level|status)|http3|http3_\\w+|quic_\\w+|resolver"
)
"""What the copy leaves out: it says nothing about who may enter, or (``limit_req``) something that no test can rely on.

Names can't be resolved in the lab: without a ``resolver`` nginx says so at once.
"""
_OTHER_PROTOCOLS = ("stream", "mail")
_IF_THERE = ("ssl_dhparam", "ssl_session_ticket_key", "ssl_stapling_file")
"""Files that nginx can do without; not there, they are left out."""
_PATHS = re.compile(
    "include|root|alias|auth_basic_user_file|js_import|js_path|perl_modules|perl_require|xslt_stylesheet|geoip_\\w+"
    "|ssl_(certificate|certificate_key|client_certificate|trusted_certificate|crl|password_file|dhparam|session_ticket_key"
    "|stapling_file)|(proxy|grpc|uwsgi)_ssl_(certificate|certificate_key|trusted_certificate|crl|password_file)"
)
_TABLES = frozenset(("map", "geo", "types", "split_clients", "charset_map"))
"""Blocks whose statements are no directives."""
_CACHE = re.compile("(proxy|fastcgi|uwsgi|scgi)_cache_path|proxy_store")


def _is_path(directive: str) -> bool:
    """Whether its first argument is a path of nginx's machine."""
    return _PATHS.fullmatch(directive) is not None


class Changes(Struct, frozen=True):
    """What one configuration's copies have in common.

    Args:
        http: what to write at the beginning of the ``http`` block.
        listens: a ``listen``'s address as written → what the copy has; those that are not in it stay as they are.
        unlisted: the ``listen`` of those that have none.
        below: where absolute paths begin (a process); ``""``: at the root (a container).
        modules: the folder of nginx's dynamic modules, where ``below`` is something; else it finds them.
        scratch: a folder that can be written to, for caches.
        here: whether a file of that path is there.
        arguments: what other arguments become, by directive and text (stubs in the place of applications).
        added: statements to write after others, by directive and text.
        texts: what to write in the place of other texts, wherever they stand (fingerprints); on one line.
    """

    http: str = ""
    listens: Mapping[str, str] = field(default_factory=dict)
    unlisted: str = ""
    below: str = ""
    modules: str = ""
    scratch: str = "/tmp"  # noqa: S108 - of a container that is the run's own
    here: Callable[[str], bool] = lambda _: True
    arguments: Mapping[tuple[str, str], str] = field(default_factory=dict)
    added: Mapping[tuple[str, str], str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def instrument(text: str, inside: tuple[str, ...], changes: Changes | None = None) -> str:
    """The copy of a configuration that logs who was refused and why; what can't be read stays as it is, and nginx says so.

    Args:
        text: of one file.
        inside: names of the blocks that it is included in: ``()`` for a whole ``nginx.conf``, ``("http",)`` for a
            ``conf.d`` file.
        changes: what else changes.
    """
    changes = changes or Changes()
    for old, new in changes.texts.items():
        text = text.replace(old, new)
    copy, at = [], 0
    for begin, end, replacement in _edits(text, inside, changes):
        if begin >= at:
            copy += [text[at:begin], replacement]
            at = end
    return "".join((*copy, text[at:]))


def _edits(text: str, inside: tuple[str, ...], changes: Changes) -> Iterator[tuple[int, int, str]]:
    found = readable(text)
    unlisted = _unlisted(found)
    listening: set[tuple[int, str]] = set()
    http2 = {one.block for one in found if one.name == "http2" and one.arguments == ("on",)}
    unended = {one.name for one in found if one.opens and not one.close}  # which is for nginx to say
    others = [protocol for protocol in _OTHER_PROTOCOLS if protocol not in unended]
    for one in found:
        path = (*inside, *one.path)
        if path[-1:] and path[-1] in _TABLES and one.name != "include":
            continue
        in_http = path[:1] == ("http",)
        if (not path and one.opens and one.name in others) or _left_out(one, changes, others):
            end = one.close or one.end
            yield one.start, end, "\n" * text.count("\n", one.start, end)
        elif one.opens:
            added = _added(one, path, changes, unlisted=one.end in unlisted)
            if added:
                yield one.end, one.end, f" {added}"
        elif in_http and one.name == "http2":
            yield one.start, one.end, ""
        elif in_http and one.name == "listen" and path[-1] == "server" and one.arguments:
            new = _listen(one, changes, listening, one.block in http2)
            if new is not None:
                yield one.start, one.end, new
        elif one.arguments:
            yield from _argument(one, changes)


def _added(one: Statement, path: tuple[str, ...], changes: Changes, *, unlisted: bool) -> str:
    """What a block begins with in the copy."""
    if not path and one.name == "http":
        return changes.http
    if path == ("http",) and one.name == "server":
        return f"{DIRECTIVES} {changes.unlisted}".rstrip() if unlisted else DIRECTIVES
    return ""


def has_unlisted(found: Sequence[Statement]) -> bool:
    """Whether there is a ``server`` without a ``listen``, which nginx has listen on port 80, or on 8000."""
    return bool(_unlisted(found))


def _unlisted(found: Sequence[Statement]) -> set[int]:
    """By the offset after their ``{``."""
    listening = {one.block for one in found if one.name in ("listen", "include")}
    servers = {one.end for one in found if one.name == "server" and one.opens and "upstream" not in one.path}
    return servers - listening


def _left_out(one: Statement, changes: Changes, others: Sequence[str]) -> bool:
    if one.name == "load_module":
        return any(f"_{protocol}_" in name for name in one.arguments for protocol in others)
    if one.name == "user":  # the image may lack it; root can read what a certificate's name of variables leads to
        return bool(changes.below) or one.arguments[:1] != ("root",)
    absent = one.name in _IF_THERE and bool(one.arguments) and not changes.here(one.arguments[0])
    return not one.opens and (_NOT_COPIED.fullmatch(one.name) is not None or absent)


def _listen(one: Statement, changes: Changes, listening: set[tuple[int, str]], http2: bool) -> str | None:
    """At the address that the lab has for it, once; ``None``: as it is."""
    where = changes.listens.get(one.arguments[0], one.arguments[0])
    said = one.arguments[1:] if where == one.arguments[0] else spoken(one.arguments)
    if "quic" in said or (one.block, where) in listening:
        return ""
    listening.add((one.block, where))
    if http2 and "ssl" in said and "http2" not in said:
        said = (*said, "http2")
    return f"listen {' '.join((where, *said))};" if (where, *said) != one.arguments else None


def _argument(one: Statement, changes: Changes) -> Iterator[tuple[int, int, str]]:
    first, *rest = one.arguments
    name = one.name
    if name == "set" and rest:
        value = changes.arguments.get((name, rest[0]))
        if value is not None:
            yield one.start, one.end, f"set {first} {path_argument(value)};"
        return
    new = changes.arguments.get((name, first), first)
    if _CACHE.fullmatch(name) and first.startswith("/"):
        new = changes.scratch + first.replace("/", "-")
    elif name == "load_module" and changes.modules and not first.startswith("/"):
        new = f"{changes.modules}/{first.rpartition('/')[2]}"
    elif _is_path(name) and first.startswith("/"):
        new = changes.below + first
    elif name.endswith("_pass") and name not in ("proxy_pass", "grpc_pass") and new != first:
        name = "proxy_pass"
    if (name, new) != (one.name, first):
        more = changes.added.get((one.name, first), "")
        yield one.start, one.end, f"{name} {' '.join(map(path_argument, (new, *rest)))}; {more}".rstrip()
