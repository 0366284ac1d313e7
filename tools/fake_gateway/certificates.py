"""Certificates: a throwaway authority for --tls, in memory except for what clients must trust."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_context(ca_file: Path) -> ssl.SSLContext:
    """A context for loopback; the authority's certificate is written to `ca_file`."""
    import trustme  # noqa: PLC0415 - takes a third of a second, and only --tls needs it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context
