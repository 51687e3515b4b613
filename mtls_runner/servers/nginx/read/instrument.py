"""The lab's copy of somebody's configuration, in which every ``server`` says who was refused and why.

A ``server`` block's own ``error_log`` replaces the main one, and an ``access_log`` in a location replaces the server's. So
both are added wherever the author's own would hide them. Nothing else changes, and nothing is added that has a line of its
own: a line number in nginx's messages is the author's.
"""

from __future__ import annotations

from mtls_runner.servers.nginx.read.statements import statements
from mtls_runner.servers.nginx.write.access_log import ACCESS_LOG, DIRECTIVES, ERROR_LOG

__all__ = ["instrument"]

_OURS = {"access_log": ACCESS_LOG, "error_log": ERROR_LOG}


def instrument(text: str, inside: tuple[str, ...], http: str = "") -> str:
    """The copy.

    Args:
        text: of one file.
        inside: names of the blocks that it is included in: ``()`` for a whole ``nginx.conf``, ``("http",)`` for a
            ``conf.d`` file.
        http: what else to write at the beginning of the ``http`` block, if it is in this file.

    Raises:
        Unreadable: the text can't be parsed.
    """
    edits: list[tuple[int, int, str]] = []
    added: set[tuple[str, int]] = set()
    for statement in statements(text):
        path = (*inside, *statement.path)
        deeper = path[:2] == ("http", "server") and len(path) > 2
        once = (statement.name, statement.block)
        if statement.opens and not path and statement.name == "http" and http:
            edits.append((statement.end, statement.end, f" {http}"))
        elif statement.opens and path == ("http",) and statement.name == "server":
            edits.append((statement.end, statement.end, f" {DIRECTIVES}"))
        elif path[:2] != ("http", "server") or statement.name not in _OURS:
            continue
        elif statement.name == "access_log" and statement.arguments[:1] == ("off",):
            # It would silence what the lab adds beside it.
            edits.append((statement.start, statement.end, ACCESS_LOG if deeper and once not in added else ""))
            added.add(once)
        elif deeper and once not in added:
            edits.append((statement.end, statement.end, f" {_OURS[statement.name]}"))
            added.add(once)
    copy, at = [], 0
    for begin, end, replacement in sorted(edits, key=lambda edit: edit[0]):
        copy += [text[at:begin], replacement]
        at = end
    return "".join((*copy, text[at:]))
