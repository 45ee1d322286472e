"""Starts the server: ``python -m orangecontrib.imageanalytics.server --models FOLDER``."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import __version__
from orangecontrib.imageanalytics.outcome import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger("orangecontrib.imageanalytics.server")

#: Files that may be open at once, if the system allows; many have 1024 by default.
_FILES = 16_384


class StartError(Exception):
    """The server cannot start; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is stopped.

    Returns
    -------
    int
        0 when it was stopped, 1 when a model could not be loaded, 2 when it could not be started
        as it was asked to.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        return _serve(options)
    except (StartError, EmbeddingError) as error:
        _log.error("%s", error)
        return 2
    except ImportError as error:
        _log.error("%s. The server needs more: pip install 'Orange3-ImageEmbedding[server]'", error)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orangecontrib.imageanalytics.server",
        description="Embed images for others: the bundled models, and ONNX files of a folder.",
        epilog="Images are neither written to disk nor to the log.",
    )
    parser.add_argument(
        "--models", type=Path, metavar="FOLDER", help="where more ONNX files are, named by model"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="0 for any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the token that clients must send"
    )
    parser.add_argument("--certfile", type=Path, metavar="PEM", help="certificate, for https")
    parser.add_argument(
        "--keyfile", type=Path, metavar="PEM", help="its key, unless it is in the same file"
    )
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="processes per model (default: one per core)"
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _serve(options: argparse.Namespace) -> int:
    from orangecontrib.imageanalytics.server.access import TokenFileError, read_token
    from orangecontrib.imageanalytics.server.app import EmbeddingServer
    from orangecontrib.imageanalytics.server.http_protocol import PunctualServer, configuration
    from orangecontrib.imageanalytics.server.served_models import find_models

    try:
        token = read_token(options.token_file) if options.token_file else None
    except TokenFileError as error:
        raise StartError(str(error)) from None
    _check_certificate(options)
    models = find_models(options.models)
    failures: list[Exception] = []

    def tried(error: Exception | None) -> None:
        if error is None:
            _log.info("Ready. Models: %s", ", ".join(models))
        else:
            failures.append(error)
            server.should_exit = True

    application = EmbeddingServer(models, token=token, workers=options.workers, tried=tried)
    _allow_many_files()
    server = PunctualServer(
        configuration(application.application(), options.certfile, options.keyfile)
    )
    listener = _listen(options.host, options.port)
    _announce(listener, encrypted=options.certfile is not None, token=token)
    # uvicorn sends itself the signal once more when all is finished: it is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if failures:
        _log.error("%s", failures[0])
        return 1
    return 0


def _allow_many_files() -> None:
    """Have more open files than connections: those in the middle of a handshake are not counted."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_certificate(options: argparse.Namespace) -> None:
    if options.certfile is None:
        if options.keyfile is not None:
            raise StartError("--keyfile is of no use without --certfile.")
        return
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.certfile, options.keyfile)
    except OSError as error:
        files = " with ".join(str(f) for f in (options.certfile, options.keyfile) if f)
        raise StartError(f"The certificate {files} cannot be used: {error}.") from None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise StartError(f"Cannot listen on port {port} of {host}: {error}.") from None


def _announce(listener: socket.socket, *, encrypted: bool, token: str | None) -> None:
    """Say where the server listens, and what others could read or do there."""
    host, port = listener.getsockname()[:2]
    loopback = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    scheme = "https" if encrypted else "http"
    shown = f"[{host}]" if ":" in host else host
    _log.info("Listening on %s://%s:%d/", scheme, shown, port)
    if loopback:
        return
    if token is None:
        _log.warning(
            "Anyone who reaches this computer over the network may use this server: there is no "
            "--token-file."
        )
    if not encrypted:
        _log.warning(
            "Images%s travel unencrypted: use --certfile, or a proxy with TLS on this computer "
            "and --host 127.0.0.1.",
            "" if token is None else " and the token",
        )


if __name__ == "__main__":
    sys.exit(main())
