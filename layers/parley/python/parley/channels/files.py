"""Files over HTTP: what clients are told of one, and the headers with which one is given back.

Pure conversions. A file is given back to be saved, as the type that its content says, in a sandbox: whatever else a
browser could take it for, it runs nothing and reaches nothing.
"""

from typing import Any
from urllib.parse import quote

from parley.bots.bot import UploadSettings
from parley.conversation import Upload
from parley.files import MEGABYTE

POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def render_taken(upload: Upload) -> dict[str, Any]:
    """A file that was taken."""
    return {"upload_id": upload.id, "name": upload.name, "type": upload.type, "bytes": upload.bytes}


def render_taking(settings: UploadSettings) -> dict[str, Any]:
    """Which files a bot takes, for its page; nothing if it takes none."""
    if not settings.types:
        return {}
    return {"uploads": {"types": list(settings.types), "most_bytes": int(settings.most_mb * MEGABYTE)}}


def headers_of(upload: Upload) -> dict[str, str]:
    """The headers of a file that is given back (RFC 6266 for its name)."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in upload.name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(upload.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": POLICY,
        "Cache-Control": "private, no-store",
    }
