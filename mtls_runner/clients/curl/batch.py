"""What one run of curl says of each of its requests: their heads and bodies come in one stream each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mtls_runner.clients.curl.binary import CurlRun, Kept
from mtls_runner.clients.curl.outcome import Written
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView, Phase

__all__ = ["apart", "gone", "told"]


def told(finished: CurlRun, count: int) -> list[Written]:
    """What ``--write-out '%{json}\\n'`` said of each request (curl's manual, WRITE OUT)."""
    try:
        results = [json.loads(line) for line in finished.output.splitlines()]
        if len(results) != count:
            raise ValueError(finished.output)
        return [
            Written(
                exit_code=finished.exit_code if count == 1 else int(one["exitcode"]),
                error=str(one.get("errormsg") or (finished.errors.partition("\n")[0] if count == 1 else "")),
                verify_result=int(one.get("ssl_verify_result", 0)),
                local_port=int(one.get("local_port", 0)),
                http_code=int(one.get("http_code", 0)),
                handshake_took=float(one.get("time_appconnect", 0)),
                connections=int(one.get("num_connects", 1)),
                head_size=int(one.get("size_header", 0)),
                body_size=int(one.get("size_download", 0)),
            )
            for one in results
        ]
    except (ValueError, AttributeError, KeyError) as error:
        raise LabError(f"curl (exit {finished.exit_code}) wrote no result: {finished.errors.strip()}") from error


def apart(
    written: Sequence[Written], heads: Kept, bodies: Kept, clients: Sequence[ClientSpec]
) -> Iterator[tuple[bytes, Kept]]:
    """Head and body of each response.

    Raises:
        LabError: there are too many bytes of them to tell them apart.
    """
    if len(written) == len(clients) == 1:
        yield bytes(heads.data), bodies
        return
    if heads.size > heads.limit or bodies.size > bodies.limit:
        raise LabError(f"the responses on one connection have more than {bodies.limit} bytes together")
    head, body = 0, 0
    for one, client in zip(written, clients, strict=False):
        kept = Kept(client.body_limit)
        kept.add(bytes(bodies.data[body : body + one.body_size]))
        yield bytes(heads.data[head : head + one.head_size]), kept
        head, body = head + one.head_size, body + one.body_size


def gone(before: ClientView) -> ClientView:
    """Of a request that was not made: curl found the connection closed, and made another one."""
    return replace(
        before,
        phase=Phase.REQUEST,
        problem=None,
        response=None,
        error="the server had closed the connection before this request",
        error_symbol="EOF",
        exit_code=None,
        request_number=before.request_number + 1,
        stays_open=False,
    )
