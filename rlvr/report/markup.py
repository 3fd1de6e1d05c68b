"""The parts of every page: the document, figures in a grid, tables that scroll."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page: no script, no external resource, light and dark themes."""
    style = files("rlvr.report").joinpath("style.css").read_text()
    head = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>",
    ]
    return "\n".join([*head, *(part for part in parts if part), "</main></body></html>"]) + "\n"


def figures(drawn: Sequence[str], captions: Sequence[tuple[str, str]]) -> str:
    """Charts in a grid, each below its title and note."""
    shown = "".join(
        f"<figure><figcaption><h3>{escape(title)}</h3><span class=note>{escape(note)}</span></figcaption>{svg}</figure>"
        for svg, (title, note) in zip(drawn, captions, strict=True)
    )
    return f"<div class=grid-of-charts>{shown}</div>"


def table(body: str, caption: str, kind: str = "") -> str:
    """A table that scrolls, below a caption that does not, so that a narrow screen shows the whole caption."""
    return (
        f"<p class=note>{escape(caption)}</p><div class=scroll tabindex=0 role=region "
        f"aria-label='{escape(caption[:80], quote=True)}'><table{f' class={kind}' if kind else ''}>{body}</table></div>"
    )
