"""What templates may name: of a server, a client, or a process only. The table in ``docs/implementations.md`` is made of it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BUILD", "CLIENT", "PROCESS", "CONTAINER", "ROWS", "SERVER", "names_of"]

SERVER, CLIENT, PROCESS, BUILD, CONTAINER = "servers", "clients", "processes", "build", "container"


class _Row(NamedTuple):
    """Names, where they can be used, and what they are.

    Args:
        names: of one kind.
        where: ends, or how they run.
        what: for people.
    """

    names: tuple[str, ...]
    where: frozenset[str]
    what: str


def _row(where: str, names: str, what: str) -> _Row:
    return _Row(tuple(names.split()), frozenset(where.split()), what)


_BOTH = f"{SERVER} {CLIENT}"
ROWS = (
    _row(
        f"{_BOTH} {CONTAINER}", "dir", "the directory of its own that the program is started in, and its files lie in"
    ),
    _row(f"{_BOTH} {BUILD} {CONTAINER}", "cache", "where its build lies"),
    _row(
        PROCESS,
        "program declaration python",
        "what `needs` names, by its path (of a module: this Python); the declaration's directory; the Python that runs mtls-run; "
        "not in a container",
    ),
    _row(_BOTH, "everything", "all of these as one value, for a program that reads JSON (`syntax: json`)"),
    _row(SERVER, "generation", "how many times it was started or told to read its files"),
    _row(
        _BOTH,
        "address host port",
        "where to listen, chosen by the lab, as host:port and apart; of a client, where to connect",
    ),
    _row(
        SERVER,
        "application application_host application_port",
        "with `answers: application`: where the lab's application listens, in the clear",
    ),
    _row(
        _BOTH,
        "certificate leaf intermediates key combined",
        "files: chain, leaf alone, what is sent after it, private key, chain and key in one",
    ),
    _row(SERVER, "combined_with_root", "a file: chain and key in one, and the root"),
    _row(_BOTH, "passphrase", "a file with the key's passphrase, one line, or nothing"),
    _row(_BOTH, "trust crl trust_and_crl", "files: trusted authorities, CRLs, both in one; or nothing"),
    _row(SERVER, "advertise", "a file: the authorities that are named to clients; or nothing"),
    _row(SERVER, "advertises_others", "whether an authority is named that is not trusted"),
    _row(SERVER, "crls", "a list of files with one CRL each, for programs that read only the first of a file"),
    _row(_BOTH, "crl_check partial_chain x509_strict", "as in the scenario"),
    _row(
        _BOTH,
        "tls groups signature_algorithms alpn",
        "lists, as in the scenario: `{{ groups | join(':') }}` where the syntax takes what is between, or a `{% for %}`",
    ),
    _row(_BOTH, "tls_min tls_max ciphers ciphersuites security_level", "words, as in the scenario"),
    _row(SERVER, "client_auth verify_depth session_tickets reject_handshake", "as in the scenario"),
    _row(SERVER, "names hosts", "lists: its own names; its virtual hosts, each with its settings, files and `names`"),
    _row(
        SERVER,
        "responses",
        "a list: paths first, the default last; each with `path`, `status`, `headers`, `content_type`, `body`, `body_file`, "
        "`size` (of the body, in bytes)",
    ),
    _row(
        CLIENT,
        "method path headers url request body_file limit_rate timeout",
        "what is asked for; `request` is the whole head as HTTP/1.1 has it",
    ),
    _row(
        CLIENT,
        "server_name verify_name verify_name_is_address insecure",
        "SNI or nothing, the name that is checked, whether it is an address",
    ),
    _row(CLIENT, "local_port", "a port to connect from, for one that does not tell its own"),
)


def names_of(*where: str) -> tuple[str, ...]:
    """All that can be named there."""
    return tuple(name for row in ROWS if row.where & set(where) for name in row.names)
