"""A small OpenID provider over HTTP that speaks the protocol: discovery, code flow, PKCE, signed tokens, userinfo."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache

from bandit_project.administration.oidc.views import BACKEND

CLIENT, SECRET = "bandit", "a secret of the client"
Claims = dict[str, Any]
_DRIPS, _DRIP_SECONDS = 500, 0.02


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Provider:
    """The provider, and the person who is logged in there. A test changes what it says."""

    key: rsa.RSAPrivateKey
    issuer: str = ""
    person: Claims = field(default_factory=dict)
    userinfo: Claims = field(default_factory=dict)
    # Makes the token of the claims; a test forges it here.
    sign: Callable[[Claims], str] = lambda claims: ""
    methods: list[str] = field(default_factory=lambda: ["client_secret_post"])
    described: Claims = field(default_factory=dict)
    # What each code was given for: the query of the authorization.
    codes: dict[str, Claims] = field(default_factory=dict)
    tokens_asked: list[Claims] = field(default_factory=list)
    # In the place of what it says of a person: an answer of another shape.
    oddity: Any = None
    # The paths that it was asked for; it answers none while it is held.
    asked: list[str] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)
    # The path of which it sends the head or the body byte by byte, for ten seconds before all is well.
    drips: tuple[str, str] = ("", "")

    key_id: str = "one"
    more_keys: list[Claims] = field(default_factory=list)

    def signed(self, claims: Claims) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def claims(self, nonce: str) -> Claims:
        now = int(time.time())
        own = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce}
        return {**own, **self.person}

    def document(self) -> Claims:
        places = {
            "authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys",
            "userinfo_endpoint": "userinfo", "end_session_endpoint": "end",
        }  # fmt: skip
        addresses = {name: f"{self.issuer}/{path}" for name, path in places.items()}
        methods = {"token_endpoint_auth_methods_supported": self.methods}
        return {"issuer": self.issuer, **addresses, **methods, **self.described}

    def keys(self) -> Claims:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        own = {**public, "kid": self.key_id, "alg": "RS256", "use": "sig"}
        return {"keys": [own, *self.more_keys]}

    def authorize(self, query: Claims) -> str:
        """Where the browser is sent with its code."""
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: Claims, authorization: str) -> tuple[int, Claims]:
        """Exchange a code, once, for who asked for it and can show the verifier."""
        self.tokens_asked.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        is_client = form.get("client_secret") == SECRET or authorization == basic
        if (
            not asked
            or not is_client
            or asked["code_challenge"] != challenge
            or asked["code_challenge_method"] != "S256"
            or asked["redirect_uri"] != form.get("redirect_uri")
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": "access",
            "token_type": "Bearer",
            "id_token": self.sign(self.claims(asked["nonce"])),
        }


class _Handler(BaseHTTPRequestHandler):
    """Answers in JSON, of which it may send the head or the body slowly."""

    @property
    def slow_part(self) -> str:
        return ""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that waits no longer
            super().handle()

    def answer(self, code: int, content: Any, **headers: str) -> None:
        body = json.dumps(content).encode()
        if self.slow_part == "body":
            body = b" " * _DRIPS + body
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.slow_part == "head":
            self.flush_headers()
            self._drip(b"X-Slow:" + b" " * _DRIPS)
            self.wfile.write(b"\r\n")
        self.end_headers()
        if self.slow_part == "body":
            self._drip(body)
        else:
            self.wfile.write(body)

    def _drip(self, content: bytes) -> None:
        for n in range(len(content)):
            self.wfile.write(content[n : n + 1])
            time.sleep(_DRIP_SECONDS)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        @property
        def slow_part(self) -> str:
            path, part = provider.drips
            return part if urlsplit(self.path).path == path else ""

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            provider.asked.append(place.path)
            provider.answers.wait()
            if place.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(place.query).items()}
                self.answer(302, {}, Location=provider.authorize(query))
            elif place.path == "/.well-known/openid-configuration":
                self.answer(200, provider.document())
            elif place.path == "/keys":
                self.answer(200, provider.keys())
            elif place.path == "/userinfo" and self.headers["Authorization"] == "Bearer access":
                subject = {"sub": provider.person.get("sub")}
                self.answer(200, provider.oddity or {**subject, **provider.userinfo})
            else:
                self.answer(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*provider.token(form, self.headers.get("Authorization", "")))

    return Handler


@contextmanager
def provider(key: rsa.RSAPrivateKey) -> Iterator[Provider]:
    made = Provider(key)
    made.sign = made.signed
    made.answers.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(made)) as server:
        made.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield made
        finally:
            made.answers.set()
            server.shutdown()
            thread.join()


def trust(made: Provider, settings: Any, name: str) -> None:
    """Set the installation up to log people in with the provider, and forget what it knew of others."""
    settings.OIDC_ISSUER, settings.OIDC_NAME = made.issuer, name
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT, SECRET
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "", {}
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, BACKEND]
    settings.DASHBOARD_LOGIN_REQUIRED = True
    cache.clear()
