"""The page as HTML text: page.html with the figures' JSON inside, as data that no browser runs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from bokeh.document import Document

from dashboard.figures import page_figures

TEMPLATE = Path(__file__).with_name("page.html")
FIGURES_HERE = "@FIGURES@"


@cache
def page_html() -> str:
    """The whole page; the same for every browser, so made once."""
    document = Document(title="eelswatch")
    for plot in page_figures():
        document.add_root(plot)
    # "<" would end the script element or open a comment; inside JSON strings \u003c means the same.
    figures = json.dumps(document.to_json(deferred=False)).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace(FIGURES_HERE, figures)
