"""Lists values that documentation publishes as examples, and names that are reserved for them."""

from __future__ import annotations

import hashlib
import ipaddress
import re

# The first 16 digits of the SHA-256 of each value: forges refuse a push with some of the values.
_DOCUMENTED = {
    # AWS documentation.
    "1a5d44a2dca19669",
    "78314b11be2e5815",
    "c6ea27c534f993d3",
    "e21b597ba6b9cafa",
    # GitHub documentation.
    "7e498f91828a193c",
    # Stripe documentation.
    "2cafc0970149a84f",
    "f2d6ca16515033e5",
    "7e8de44ea9ecf6d5",
    # Azurite and the emulators of Azure.
    "0011cc25eb432071",
    "aa6547439583c3a2",
    # UUIDs of documentation.
    "a3a9e1ed9732cab2",
    "986c0dc956dc822b",
    "8f400c257611ed5d",
    "e5855ff48799c52c",
    "30a5154b77ab8b2d",
    # RFC 7617 and RFC 2617.
    "cf4d418ed3de92d7",
    "687da00b09c83361",
    # RFC 8032, tests 1 to 3.
    "099da475a54aacba",
    "80cd0406a778128b",
    "dfdcf400fd38f3bc",
    # FIPS 197 and SP 800-38A.
    "2ef2503d964e9668",
    "837e8e636d452b61",
    "c12ce25303a023aa",
    # RFC 7515, appendix A.1.
    "8b1b17a9740c068a",
    # RFC 6238 and RFC 4226.
    "549c9390539efcfa",
    "8be5d113c0871ce1",
    # RFC 6455.
    "15cef4b629cc2d07",
    "507e2ce3c522082b",
    # Google documentation.
    "f56e323494a6ffc2",
    # Digests of the empty text.
    "f215faf9d88b7f0a",
    "07e23ede2756aa3f",
    "cd372fb85148700f",
    # Slack documentation.
    "2f3227eccce10b91",
}
# Names of RFC 2606 and RFC 6761, of RFC 6762 and RFC 8375, and domains that stand in placeholders.
_RESERVED = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local|localdomain|lan|internal|home\.arpa|"
    r"example\.[a-z]{2,3}|(?:your|my)[-\w]*\.[a-z]{2,4}|(?:foo|bar|baz|domain|email)"
    r"\.(?:com|org|net|io|dev)|localhost\.\w+)$",
    re.IGNORECASE,
)


def is_documented(value: str) -> bool:
    """Tell whether documentation publishes this value as an example."""
    parts = {value, value.rpartition("_")[2]}
    return any(hashlib.sha256(part.encode()).hexdigest()[:16] in _DOCUMENTED for part in parts)


def is_reserved(host: str) -> bool:
    """Tell whether a name of a host can belong to nobody."""
    return bool(_RESERVED.search(host.rstrip(".")))


def is_local(host: str) -> bool:
    """Tell whether a host is this machine, a container beside it, or reserved for examples."""
    if "." not in host and ":" not in host:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return is_reserved(host)
    return address.is_loopback or address.is_unspecified or address in _DOCUMENTATION


class _Networks:
    """The networks of RFC 5737 and RFC 3849, which documentation uses."""

    _networks = tuple(
        map(
            ipaddress.ip_network,
            ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),
        )
    )

    def __contains__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address in network for network in self._networks)


_DOCUMENTATION = _Networks()
