"""What entries say is a stranger's: names for files, addresses that may be linked, licences that allow excerpts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from synthbench.io.escaping import printable

__all__ = ["MOST_TEXT", "allows_excerpts", "link_to", "plain", "references", "slug"]

MOST_TEXT = 2_000
"""Characters of a text of an entry that are shown."""
_MOST_ADDRESS = 500
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")
_FREE = re.compile(r"(?:CC0(?:[ -]1\.0)?|public domain|MIT(?: licen[cs]e)?|CC[ -]BY[ -][1-4]\.0)", re.IGNORECASE)
_REFERENCE = re.compile(
    r"\barXiv[: ]\s*(?P<arxiv>\d{4}\.\d{4,5})|\b(?P<doi>10\.\d{4,9}/[A-Za-z0-9._;()/-]*[A-Za-z0-9])", re.IGNORECASE
)


def slug(name: str) -> str:
    """Return a name for a file and an address: letters, digits and hyphens; other names get a hash as well.

    Examples
    --------
    >>> slug("pix2pix"), slug("../a b")
    ('pix2pix', 'a-b-2c2c791a')
    """
    if _SLUG.fullmatch(name):
        return name
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{words}-{digest}" if words else digest


def link_to(address: object) -> str:
    """Return an address that may be linked, or an empty string: ``https`` or ``http``, with a plain host."""
    text = address.strip() if isinstance(address, str) else ""
    if not 0 < len(text) <= _MOST_ADDRESS or not text.isascii() or not text.isprintable() or " " in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    if parts.scheme not in ("https", "http") or not _HOST.fullmatch(parts.netloc):
        return ""
    return quote(text, safe="%/:?#[]@!$&()*+,;=-._~")


def plain(value: object, most: int = MOST_TEXT) -> str:
    """Return what an entry says as text without control characters, shortened; an empty string for what is no text."""
    text = printable(value) if isinstance(value, str) else ""
    return text if len(text) <= most else f"{text[:most].rstrip()} …"


def references(text: str) -> Iterator[tuple[str, str]]:
    """Yield the papers that a text names by arXiv number or DOI: what to read, and the address."""
    seen = set()
    for found in _REFERENCE.finditer(text):
        if found["arxiv"]:
            pair = f"arXiv:{found['arxiv']}", f"https://arxiv.org/abs/{found['arxiv']}"
        else:
            pair = f"doi:{found['doi']}", f"https://doi.org/{quote(found['doi'], safe='/')}"
        if pair not in seen:
            seen.add(pair)
            yield pair


def allows_excerpts(licence: str) -> bool:
    """Whether a licence is one of those that let anyone show excerpts of images: CC0, public domain, MIT and CC BY."""
    return bool(_FREE.fullmatch(licence.strip()))
