"""Passes what CloudFront asks for on to a server elsewhere.

This module is a package's only one: it imports nothing of the toolkit.
"""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ADDRESS_FILE = "address.json"
"""What a package has beside this module: scheme, host, port and path of the server."""

READ_SECONDS, KEEPALIVE_SECONDS = 30, 5
"""CloudFront's own defaults for an origin."""

TLS = ["TLSv1.2"]


def origin(address: Json) -> Json:
    """CloudFront's origin for an address: scheme, host, port and path."""
    return {
        "custom": {
            "protocol": address["scheme"],
            "domainName": address["host"],
            "port": address["port"],
            "path": address["path"],
            "sslProtocols": TLS,
            "readTimeout": READ_SECONDS,
            "keepaliveTimeout": KEEPALIVE_SECONDS,
            "customHeaders": {},
        }
    }


def route(event: Any, address: Json) -> Json:
    """The request of an origin-request event with another origin, or a response that says why not.

    The body is left as it is: CloudFront passes on all of it, however large.
    """
    try:
        cloudfront = event["Records"][0]["cf"]
        kind, request = cloudfront["config"]["eventType"], dict(cloudfront["request"])
        headers = dict(request["headers"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return refusal("400", "BadRequest", f"This is no event of CloudFront's: {error!r}.")
    if kind != "origin-request":
        told = f"Only origin-request events can be passed on to another origin, not {kind!r}."
        return refusal("500", "PredictionError", told)
    headers["host"] = [{"key": "Host", "value": address["host"]}]
    return {**request, "headers": headers, "origin": origin(address)}


def refusal(status: str, kind: str, message: str) -> Json:
    """A response, as the server's own look."""
    body = {"code": int(status), "type": kind, "message": message}
    fields = {"content-type": "application/json", "cache-control": "no-store"}
    return {
        "status": status,
        "statusDescription": {"400": "Bad Request"}.get(status, "Internal Server Error"),
        "headers": {name: [{"key": name, "value": value}] for name, value in fields.items()},
        "body": json.dumps(body) + "\n",
        "bodyEncoding": "text",
    }


def lambda_handler(event: Any, _context: Any) -> Json:
    """What Lambda calls."""
    return route(event, ADDRESS)


_FILE = Path(__file__).with_name(ADDRESS_FILE)
ADDRESS: Json = json.loads(_FILE.read_text()) if _FILE.exists() else {}
"""Where to."""
