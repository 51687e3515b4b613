"""What curl would have exited with.

The lab's other clients say this beside what they saw, so that one expectation serves all. It is the answer of curl with
OpenSSL in versions 7.88 to 8.15; 8.16 changed one code (:data:`UNUSABLE_SINCE_8_16`). Held against the real curl by the
project's tests, situation by situation. Source: curl's ``lib/vtls/openssl.c`` (``ossl_connect_step2``, ``ossl_recv``)
and its manual's EXIT CODES.
"""

from __future__ import annotations

from mtls_runner.model.observation import ClientView, Direction, Phase, Reason

__all__ = ["UNUSABLE_SINCE_8_16", "predict"]

#: CURLE_BAD_FUNCTION_ARGUMENT: the client's own key or certificate can't be used, from 8.16 on; 58 before.
UNUSABLE_SINCE_8_16 = 43

_OK, _RESOLVE, _CONNECT, _PARTIAL, _TIMEOUT = 0, 6, 7, 18, 28
_SSL_CONNECT, _EMPTY, _RECV, _CERT_PROBLEM, _CIPHER, _VERIFY, _CA_FILE = 35, 52, 56, 58, 59, 60, 77
_CRL_FILE = 82
_SWITCHING = 101

#: A signature that does not verify (of a certificate, of a CRL) is an error of OpenSSL's cryptography first. curl looks at
#: the oldest error in OpenSSL's queue, and takes the failure for one of the handshake, not of the verification.
_SIGNATURE_FAILURES = frozenset((4, 5, 7, 8))


def predict(view: ClientView, *, trust_unusable: bool = False, crl_unusable: bool = False) -> int | None:
    """curl's exit code for what another client saw; ``None`` where it can't be told.

    Args:
        view: of the other client, without ``exit_code``.
        trust_unusable: the problem is the CA bundle, not the client's own certificate or key.
        crl_unusable: the problem is the file of CRLs.
    """
    if view.timed_out:
        return _TIMEOUT
    match view.phase:
        case Phase.PREPARE:
            if crl_unusable:
                return _CRL_FILE
            if trust_unusable:
                return _CA_FILE
            if view.problem is Reason.CIPHER:
                return _CIPHER
            return _SSL_CONNECT if view.problem is Reason.PROTOCOL_VERSION else _CERT_PROBLEM
        case Phase.CONNECT:
            return _RESOLVE if view.error_symbol == "ENOTFOUND" else _CONNECT
        case Phase.HANDSHAKE:
            # curl takes a received certificate_expired for its own verification's result.
            expired = any(a.direction is Direction.RECEIVED and a.name == "certificate_expired" for a in view.alerts)
            return _VERIFY if view.name_mismatch or expired or _asked(view) else _SSL_CONNECT
        case Phase.REQUEST:
            # curl sets SSL_OP_IGNORE_UNEXPECTED_EOF: with close_notify or without, nothing came.
            return _EMPTY if view.error_symbol == "EOF" else _RECV
        case Phase.RESPONSE:
            if view.error_symbol == "EOF":
                return _PARTIAL if view.response is not None else None
            return _RECV if view.response is not None else None  # 1, 8 or 61, by what is wrong with the head
        case Phase.DONE:
            if view.response is not None and view.response.status == _SWITCHING:
                return None  # 52 or 28: curl waits for a response in HTTP
            return _OK


def _asked(view: ClientView) -> bool:
    """Whether the failed verification is the oldest error in OpenSSL's queue."""
    if not view.verify_code or view.verify_code in _SIGNATURE_FAILURES:
        return False
    return all(map(_readable, view.received_chain or ()))


def _readable(der: bytes) -> bool:
    """Whether OpenSSL can decode a certificate's extensions and key; else there are errors of its own in the queue."""
    from asn1crypto import x509  # both only where a client refused a server: they take long to load
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        # cryptography's own reader of extensions is stricter than OpenSSL's: it takes no empty extendedKeyUsage
        body = x509.Certificate.load(der)["tbs_certificate"]
        kinds = [extension["extn_id"] for extension in body["extensions"]]
        for kind, extension in zip(kinds, body["extensions"], strict=True):
            if kind.native != kind.dotted:  # it is a known one; what nobody knows is not decoded
                _ = extension["extn_value"].parsed.native
        load_der_public_key(body["subject_public_key_info"].dump())
    except UnsupportedAlgorithm:
        return True
    except (ValueError, TypeError, KeyError):
        return False
    return len(kinds) == len({kind.dotted for kind in kinds})
