"""What it means that no answer came: credentials, names, connections, certificates.

The text of botocore's exceptions is not passed on: it holds addresses, and those may hold a
password that someone has put into AWS_ENDPOINT_URL or HTTPS_PROXY.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mlver.errors import RemoteError
from mlver.remotes.base import TransientRemoteError
from mlver.remotes.s3_settings import S3Settings

_NONE = (
    "no AWS credentials were found",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run aws configure, or name a profile:"
    " git config mlver.remote.NAME.profile PROFILE",
)
_STALE = (
    "the credentials could not be had from where the AWS settings say",
    "log in again (aws sso login, aws login), then run the same command again",
)
_PROFILE = (
    "the AWS settings cannot be used",
    "check AWS_PROFILE, ~/.aws/config and mlver.remote.NAME.profile: aws configure list",
)
_TLS = (
    "the server's certificate was not accepted",
    "check the address; for a certificate of your own: AWS_CA_BUNDLE=/a/path/ca.pem",
)
_PROXY = ("the proxy cannot be reached", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
_REFUSED = ("nothing listens at {endpoint}", "start the server, or correct the endpoint's port")
_UNKNOWN_HOST = (
    "the name of {endpoint} is not known",
    "check the network and the spelling: git mlver remote list, and AWS_ENDPOINT_URL_S3",
)
_UNREACHED = ("{endpoint} cannot be reached", "check the network, then run the same command again")
_CUT = ("the connection to {endpoint} broke off", "run the same command again")
_SLOW = ("{endpoint} did not answer in time", "run the same command again")

# By the name of botocore's exception, so that none must be imported. The flag: may pass by itself.
_REASONS: dict[str, tuple[tuple[str, str], bool]] = {
    "ConfigNotFound": (_PROFILE, False),
    "ConfigParseError": (_PROFILE, False),
    "ConnectTimeoutError": (_SLOW, True),
    "ConnectionClosedError": (_CUT, True),
    "CredentialRetrievalError": (_STALE, False),
    "EndpointConnectionError": (_UNREACHED, True),
    "HTTPClientError": (_CUT, True),
    "IncompleteReadError": (_CUT, True),
    "InvalidConfigError": (_PROFILE, False),
    "LoginError": (_STALE, False),
    "NoCredentialsError": (_NONE, False),
    "OSError": (_CUT, True),
    "PartialCredentialsError": (_NONE, False),
    "ProfileNotFound": (_PROFILE, False),
    "ProxyConnectionError": (_PROXY, True),
    "ReadTimeoutError": (_SLOW, True),
    "RefreshWithMFAUnsupportedError": (_STALE, False),
    "ResponseParserError": (_CUT, True),
    "ResponseStreamingError": (_CUT, True),
    "SSLError": (_TLS, False),
    "SSOError": (_STALE, False),
    "TokenRetrievalError": (_STALE, False),
    "ValueError": (_PROFILE, False),
}
_OTHER = ("the AWS library gave up", "MLVER_DEBUG=1 shows where")


def of_connection(error: Exception, sentence: str, settings: S3Settings) -> RemoteError:
    """The RemoteError for an exception that is no answer of the server's."""
    from mlver.remotes.s3_errors import shown_endpoint

    name, (reason, transient) = _known(error)
    if name == "EndpointConnectionError":
        reason, transient = _unreached(error)
    address = getattr(error, "kwargs", {}).get("endpoint_url") or settings.endpoint
    endpoint = shown_endpoint(str(address or "")) or "the server"
    why, fix = (text.format(endpoint=endpoint) for text in reason)
    kind = TransientRemoteError if transient else RemoteError
    return kind(sentence, why=f"{why} ({type(error).__name__})", fix=fix)


def _known(error: Exception) -> tuple[str, tuple[tuple[str, str], bool]]:
    """The nearest of the exception's classes of which something is said above."""
    for kind in type(error).__mro__:
        if kind.__name__ in _REASONS:
            return kind.__name__, _REASONS[kind.__name__]
    return "", (_OTHER, False)


def _unreached(error: BaseException) -> tuple[tuple[str, str], bool]:
    for cause in _causes(error):
        if isinstance(cause, ConnectionRefusedError):
            return _REFUSED, True
        if isinstance(cause, socket.gaierror):
            return _UNKNOWN_HOST, cause.errno == socket.EAI_AGAIN
    return _UNREACHED, True


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        here = waiting.pop()
        if isinstance(here, BaseException) and id(here) not in seen:
            seen.add(id(here))
            yield here
            waiting += [here.__cause__, here.__context__, *here.args]
            waiting.append(getattr(here, "kwargs", {}).get("error"))
