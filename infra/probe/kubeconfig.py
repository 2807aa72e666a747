"""How to reach an API server: address, TLS context and headers, read from a kubeconfig file.

Certificates and tokens are read here, so that an exec channel costs neither the Kubernetes client's import nor its
threads. A user that gets its credentials from a plugin or a provider is left to that client's own loader.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kip_conformance.infra.errors import UsageError

__all__ = ["ApiAccess", "load_kubeconfig"]


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """An API server's URL (https://...), the TLS context for it, and the headers that say who we are."""

    server: str
    tls: ssl.SSLContext | None
    headers: dict[str, str]
    server_name: str | None = None


def load_kubeconfig(path: Path) -> ApiAccess:
    """Access for the file's current context. Raises UsageError naming the file and what is wrong with it."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"]).get("user") or {}
        server = str(cluster["server"]).rstrip("/")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a kubeconfig with a usable current context ({error})") from error
    if "exec" in user or "auth-provider" in user:
        return _by_kubernetes_client(path)
    try:
        tls = _tls_context(cluster, user, path.parent) if server.startswith("https") else None
        headers = {}
        token = user.get("token") or (_read(path.parent, user["tokenFile"]) if user.get("tokenFile") else "")
        if token:
            headers["Authorization"] = f"Bearer {token.strip()}"
        elif user.get("username"):
            pair = f"{user['username']}:{user.get('password', '')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: certificate, key or token cannot be used ({error})") from error
    return ApiAccess(server, tls, headers, cluster.get("tls-server-name"))


def _named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config[section]:
        if entry["name"] == name:
            return dict(entry)
    raise KeyError(f"{section} has no entry {name}")


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def _material(entry: dict[str, Any], key: str, folder: Path) -> bytes | None:
    """PEM from `key`-data or from the file that `key` names, relative to the kubeconfig."""
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"])
    return (folder / entry[key]).read_bytes() if entry.get(key) else None


def _tls_context(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _material(user, "client-certificate", folder), _material(user, "client-key", folder)
    if certificate and key:
        # The ssl module reads chains from files only; this one exists for the length of the call, for us alone.
        with tempfile.NamedTemporaryFile() as chain:
            chain.write(certificate + b"\n" + key)
            chain.flush()
            context.load_cert_chain(chain.name)
    return context


def _by_kubernetes_client(path: Path) -> ApiAccess:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_kube_config(str(path), client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise UsageError(f"{path}: {error}") from error
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    token = configuration.get_api_key_with_prefix("authorization")
    headers = {"Authorization": token} if token else {}
    return ApiAccess(configuration.host.rstrip("/"), context, headers, configuration.tls_server_name)
