"""`page`: the page as one document that loads nothing, put together from its parts."""

from __future__ import annotations

import base64
import json
from importlib import resources

PARTS = ("page.css", "page.js", "video.js")
EXAMPLES = {"cows.jpg": "cow", "coffee.jpg": "cup", "sheep.jpg": "sheep"}
"""Photos to begin with, and what to look for in them."""

# The page draws what was dropped on it and asks this server; it loads nothing and is framed by nobody.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' blob: data:; "
    "media-src blob:; connect-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def page() -> str:
    """HTML with its style, its scripts and the examples in it."""
    folder = resources.files("fo1.serving").joinpath("site")
    html = folder.joinpath("page.html").read_text(encoding="utf-8")
    for part in PARTS:
        html = html.replace(f"/* {part} */", folder.joinpath(part).read_text(encoding="utf-8"))
    examples = [
        {
            "name": name,
            "words": words,
            "image": "data:image/jpeg;base64,"
            + base64.b64encode(folder.joinpath(name).read_bytes()).decode("ascii"),
        }
        for name, words in EXAMPLES.items()
    ]
    return html.replace("/* examples */ []", json.dumps(examples))
