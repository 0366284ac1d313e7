"""Region: a name such as `eu-central-1`, as people write one, and the domain that it means.

Pure; knows no setting and no request. Whoever pastes a host or a URL of the platform means its
domain; whoever writes a city, a country or a short code means the region there. What is a host
name under a domain of its own is taken as a domain, so that a new region needs no new release
(`protocol.md §2`). Everything else is an error that names what is near.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

DOMAINS: Final = {
    "us-east-1": "mypurecloud.com",
    "eu-west-1": "mypurecloud.ie",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-northeast-1": "mypurecloud.jp",
    "eu-central-1": "mypurecloud.de",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "ap-northeast-2": "apne2.pure.cloud",
    "eu-west-2": "euw2.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "us-east-2": "use2.us-gov-pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
    "eu-central-2": "euc2.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
}

_PLACES: Final = {
    "us-east-1": ("Virginia", "N. Virginia", "Northern Virginia", "US East", "prod"),
    "eu-west-1": ("Dublin", "Ireland", "Republic of Ireland"),
    "ap-southeast-2": ("Sydney", "Australia"),
    "ap-northeast-1": ("Tokyo",),
    "eu-central-1": ("Frankfurt", "Frankfurt am Main", "Germany", "Deutschland"),
    "us-west-2": ("Oregon", "US West"),
    "ca-central-1": ("Montreal", "Canada", "Canada Central"),
    "ap-northeast-2": ("Seoul", "Korea", "South Korea"),
    "eu-west-2": ("London", "England", "United Kingdom", "Great Britain", "UK"),
    "ap-south-1": ("Mumbai", "Bombay", "India"),
    "us-east-2": ("Ohio", "FedRAMP", "US Gov", "GovCloud"),
    "sa-east-1": ("Sao Paulo", "Brazil", "Brasil"),
    "me-central-1": ("UAE", "United Arab Emirates", "Dubai", "Middle East"),
    "ap-northeast-3": ("Osaka",),
    "eu-central-2": ("Zurich", "Zuerich", "Switzerland"),
    "mx-central-1": ("Queretaro", "Mexico", "Mexico City"),
    "ap-southeast-1": ("Singapore",),
    "eusc-de-east-1": (
        "Brandenburg",
        "EU Sovereign",
        "EU Sovereign Cloud",
        "European Sovereign Cloud",
    ),
}
_SEVERAL: Final = {
    "us": ("us-east-1", "us-west-2", "us-east-2"),
    "usa": ("us-east-1", "us-west-2", "us-east-2"),
    "unitedstates": ("us-east-1", "us-west-2", "us-east-2"),
    "eu": ("eu-central-1", "eu-west-1", "eu-west-2", "eu-central-2"),
    "europe": ("eu-central-1", "eu-west-1", "eu-west-2", "eu-central-2"),
    "emea": ("eu-central-1", "eu-west-1", "eu-west-2", "eu-central-2", "me-central-1"),
    "japan": ("ap-northeast-1", "ap-northeast-3"),
    "purecloud": ("us-east-1", "eu-west-1", "eu-central-1"),
    "mypurecloud": ("us-east-1", "eu-west-1", "eu-central-1"),
}
"""What means more than one of them."""
_SERVICES: Final = frozenset(
    (
        "api", "api-downloads", "app", "apps", "assets", "auth", "cdn", "content", "developer",
        "directory", "help", "login", "media", "messaging", "realtime", "signaling", "sso",
        "static", "streaming", "webmessaging", "webrtc", "www",
    )
)  # fmt: skip
"""First labels of the platform's hosts, below the domain of the region."""
_PARENTS: Final = ("pure.cloud", "us-gov-pure.cloud", "eusc-pure.cloud")
"""Domains of several regions, and so of none."""
_INTERNAL: Final = {"dca": "inindca.com", "tca": "inintca.com"}
"""The maker's own test regions, as its tools name them."""
_NUMBERED: Final = re.compile(r"([a-z]+)((?:-[a-z]+)+)-([0-9])")
_DECORATION: Final = re.compile(r"^(?:aws|prod|fedramp)-|-core$")
_DASHES: Final = dict.fromkeys((*range(0x2010, 0x2015), 0x2212), "-")  # U+2010 to U+2014, minus
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_SHAPE: Final = "must be a region such as eu-central-1, or its domain, such as mypurecloud.de"
_USE_BASE_URL: Final = "for your own gateway, set base_url, such as http://127.0.0.1:8080"
CHARS_MAX: Final = 500
NEAR_MAX: Final = 3


def domain_of(region: str) -> str:
    """The domain of the region that this text means. ValueError says what is wrong with it."""
    text = _plain(region)
    if len(text) > CHARS_MAX:
        raise ValueError(_SHAPE)
    known = _named(text)
    if known is not None:
        return known
    host = _without_services(_host_in(text))
    if (named := _named(host)) is not None:
        return named
    _refuse_machine(host)
    known = region_domain_in(host)
    if known is not None and known in DOMAINS.values():
        return known  # whatever machine below it
    if not _HOST.fullmatch(host) or host in _PARENTS:
        raise ValueError(f"{_SHAPE}{_did_you_mean(text, host)}")
    return host


def environment_of(text: str) -> str:
    """What stands between `api.` and `.mypurecloud.com`, of whatever was written or pasted there.
    ValueError says what is wrong with it."""
    plain = _plain(text)
    if not plain:
        return ""
    host, parent = _host_in(plain), DOMAINS["us-east-1"]
    if host == parent or host.endswith(f".{parent}"):
        plain = host = host.removesuffix(parent).removesuffix(".")
    elif "/" in plain:
        raise ValueError(_ENVIRONMENT)
    labels = host.split(".") if host else []
    while labels and labels[0] in _SERVICES:
        labels.pop(0)
    host = ".".join(labels)
    is_region = region_domain_in(host) is not None or _named(host) is not None
    if host and (is_region or _named(plain) is not None):
        raise ValueError(f"this is a region; set region = {plain!r} instead of environment")
    _refuse_machine(host)
    if host and not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", host):
        raise ValueError(_ENVIRONMENT)
    return host


_ENVIRONMENT: Final = (
    "must be the part of the host name between `api.` and `.mypurecloud.com`: letters, digits, "
    "`-` and `.`"
)


def region_domain_in(host: str) -> str | None:
    """The domain of the platform that a host is of; None: of none that is known."""
    name = host.lower().rstrip(".")
    known = (*DOMAINS.values(), *_INTERNAL.values())
    return next((each for each in known if name == each or name.endswith(f".{each}")), None) or (
        name if any(name.endswith(f".{each}") for each in _PARENTS) else None
    )


def doubt_about(region: str) -> str:
    """Why a region that is taken as a domain looks like a mistake; "" if it does not."""
    domain = domain_of(region)
    if region_domain_in(domain) is not None:
        return ""
    near = _near(domain, DOMAINS.values())
    return f"{domain} is not a known domain of the platform{_or_near(near)}"


def _plain(text: str) -> str:
    """Without what editors, shells and compose files leave around it."""
    normal = unicodedata.normalize("NFKC", text).translate(_DASHES)
    shown = "".join(each for each in normal if each.isprintable() or each in "\t\r\n")
    return shown.strip().strip("\"'`").strip().casefold()


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if each.isascii() and each.isalnum())


def _short(region: str) -> str:
    """`euc1` of `eu-central-1`."""
    parts = _NUMBERED.fullmatch(region)
    assert parts is not None, region
    area, directions, number = parts.groups()
    words = directions[1:].split("-")
    compass = "".join(
        part[0] for word in words for part in re.findall(r"north|south|east|west|.+", word)
    )
    return f"{area}{compass}{number}"


_BY_LETTERS: Final = {
    **{_letters(name): domain for name, domain in DOMAINS.items()},
    **{_letters(_short(name)): domain for name, domain in DOMAINS.items()},
    **{
        domain.partition(".")[0]: domain for domain in DOMAINS.values() if domain.endswith(_PARENTS)
    },
    **{_letters(place): DOMAINS[name] for name, places in _PLACES.items() for place in places},
    **_INTERNAL,
}


def _named(text: str) -> str | None:
    """The domain of a region by one of its names."""
    constant = text.rpartition(".")[2]
    if "_" in constant:  # of an SDK, with the name of its class before it
        text = constant
    if "." in text and not re.search(r"[ (=]", text):
        return text if text in DOMAINS.values() else _BY_LETTERS.get(_letters(text))
    within = re.search(r"\(([^()]*)\)", text)
    outside = re.sub(r"\([^()]*\)", "", text)
    bare = _DECORATION.sub("", _DECORATION.sub("", text))
    candidates = [text, bare, within[1] if within else "", outside if within else ""]
    # A place beside its code, as consoles show it: `Frankfurt eu-central-1`.
    candidates += [word for word in re.split(r"[\s,;/()=]+", text) if re.search(r"-\d$", word)]
    found = [_BY_LETTERS[key] for each in candidates if (key := _letters(each)) in _BY_LETTERS]
    return found[0] if found else None


def _host_in(text: str) -> str:
    """Of a URL or of a host with a port, the host."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in {"http", "https", "ws", "wss"}:
        raise ValueError(_SHAPE)
    authority = re.split(r"[/?#]", rest if separator else text, maxsplit=1)[0]
    if "@" in authority:
        raise ValueError(f"{_SHAPE}, without a user or password")
    host, colon, port = authority.rpartition(":")
    if colon and "]" not in port:
        if port and port != "443":
            _refuse_machine(host)
            raise ValueError(f"{_SHAPE}, without a port; {_USE_BASE_URL}")
        authority = host
    return authority.strip().rstrip(".")


def _without_services(host: str) -> str:
    labels = host.split(".")
    while len(labels) > 1 and labels[0] in _SERVICES:
        labels.pop(0)
    return ".".join(labels)


def _refuse_machine(host: str) -> None:
    """This machine, and what is an address."""
    is_machine = host.rpartition(".")[2] in {"localhost", "localdomain"}
    try:
        ipaddress.ip_address(host.strip("[]"))
        is_machine = True
    except ValueError:
        is_machine = is_machine or bool(re.fullmatch(r"[0-9.]+", host))
    if is_machine:
        raise ValueError(f"is a host, not a region; {_USE_BASE_URL}")


def _did_you_mean(text: str, host: str) -> str:
    """Nearest names; and for what means several, these."""
    several = _SEVERAL.get(_letters(host))
    if host in _PARENTS:
        several = tuple(name for name, domain in DOMAINS.items() if domain.endswith(f".{host}"))
    if several:
        return _or_near(several)
    names = {_letters(name): name for name in DOMAINS}
    names |= {_letters(place): name for name, places in _PLACES.items() for place in places}
    names |= {_letters(_short(name)): name for name in DOMAINS}
    names |= {_letters(domain): domain for domain in DOMAINS.values()}
    written = _letters(_DECORATION.sub("", host)) or _letters(text)
    near = dict.fromkeys(names[each] for each in _near(written, names))
    return _or_near(near) or f"; expected one of {', '.join(sorted(DOMAINS))}"


def _near(text: str, names: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(text, list(names), n=NEAR_MAX, cutoff=0.6)


def _or_near(names: Iterable[str]) -> str:
    told = " or ".join(names)
    return f"; did you mean {told}?" if told else ""
