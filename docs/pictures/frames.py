"""Frames around messages, as HTML: a mail program, a terminal, a chat, a card, a phone."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from services.notifier.channels import Shown

_STYLE = """
body{margin:0;padding:20px;background:#e9ecf0;font:15px/1.45 sans-serif;color:#1d1c1d}
.row{display:flex;gap:20px;align-items:flex-start}.row>*{flex:1;min-width:0}
.box{background:#fff;border-radius:8px;box-shadow:0 1px 4px #0003;overflow:hidden}
.dark{background:#121212;color:#eee}
.head{padding:10px 14px;border-bottom:1px solid #8884;font-size:13px}.head b{display:block;font-size:15px}
iframe{border:0;width:100%;display:block}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.terminal{background:#1e1e2e;color:#d8dee9;padding:16px;font:13px/1.45 'DejaVu Sans Mono',monospace}
.post{display:flex;gap:10px;padding:14px}.post>div:last-child{flex:1;min-width:0}
.face{width:36px;height:36px;border-radius:6px;background:#0a6b3c;color:#fff;text-align:center;font:700 20px/36px sans-serif}
.who b{margin-right:6px}.who span{color:#777;font-size:12px}
h3{font-size:17px;margin:4px 0 6px}p{margin:0 0 8px;white-space:pre-wrap;overflow-wrap:anywhere}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:6px 18px;margin:0 0 10px}.fields b{display:block}
.button{display:inline-block;border:1px solid #8888;border-radius:5px;padding:5px 12px;margin:0 6px 6px 0;font-weight:600;background:#fff}
.button.primary{background:#0a6b3c;color:#fff;border-color:#0a6b3c}
a{color:#1264a3;text-decoration:none}
.thread{border-left:2px solid #ddd;margin-left:34px}
.card .top{padding:12px 14px}.attention{background:#fbe3e4}.good{background:#e0f2e4}.warning{background:#fdf3d8}.emphasis{background:#eef}
.card .rest{padding:12px 14px}.facts{display:grid;grid-template-columns:max-content 1fr;gap:3px 14px;margin:0 0 10px}.facts b{font-weight:600}
.phone{background:#15202b;color:#fff;border-radius:28px;padding:20px 14px;min-height:420px;border:5px solid #000}
.clock{text-align:center;font-size:36px;margin:4px 0 16px}
.push{background:#2b3a48;border-radius:14px;padding:12px;font-size:14px}.push .app{color:#9fb3c8;font-size:12px}
.push .more{max-height:215px;overflow:hidden}
.push .acts{color:#7fd1a5;font-weight:600;margin-top:8px}.push .acts span{margin-right:16px}
.bubble{background:#e5e5ea;color:#000;border-radius:16px;padding:10px 12px;font-size:14px;max-width:92%}
.call{text-align:center}.call p{text-align:left;font-style:italic;background:#2b3a48;border-radius:14px;padding:12px}
"""


def whole(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def side_by_side(*boxes: str, width: int = 0) -> str:
    style = f" style='max-width:{width}px'" if width else ""
    return f"<div class='row'{style}>{''.join(boxes)}</div>"


def mail(shown: Shown, *, dark: bool = False) -> str:
    """A mail program with the HTML of a mail; it shows the hidden beginning in its list of mails only."""
    headers = shown.payload["headers"]
    scheme = "dark" if dark else "light"
    page = shown.html.replace('content="light dark"', f'content="{scheme}"')
    height = 830 if "Act by" in shown.text else 510 if "What happened" in shown.text else 370
    return (
        f"<div class='box {scheme}'><div class='head'><b>{escape(headers['Subject'])}</b>"
        f"{escape(headers['From'])} → {escape(headers['To'])}</div>"
        f"<iframe style='height:{height}px;color-scheme:{scheme}' srcdoc=\"{escape(page)}\"></iframe></div>"
    )


def terminal(text: str) -> str:
    return f"<div class='box terminal'><pre>{escape(_short_links(text))}</pre></div>"


def slack(shown: Iterable[Shown]) -> str:
    """A room in a chat like Slack: the first message, and what is beneath it."""
    first, *beneath = shown
    posts = [_post(_blocks(first.payload["blocks"]))]
    posts += [f"<div class='thread'>{_post(_blocks(each.payload['blocks'][:2]))}</div>" for each in beneath]
    return f"<div class='box'><div class='head'><b># incidents</b></div>{''.join(posts)}</div>"


def _post(body: str) -> str:
    return (
        "<div class='post'><div class='face'>L</div><div><div class='who'><b>Ladder</b><span>APP 03:12</span></div>"
        f"{body}</div></div>"
    )


def _blocks(blocks: Iterable[Mapping[str, Any]]) -> str:
    made = []
    for block in blocks:
        if block["type"] == "header":
            made.append(f"<h3>{escape(block['text']['text'])}</h3>")
        elif block["type"] == "actions":
            made += [_button(each["text"]["text"], first="style" in each) for each in block["elements"]]
        elif "fields" in block:
            cells = "".join(f"<div>{_mrkdwn(each['text'])}</div>" for each in block["fields"])
            made.append(f"<div class='fields'>{cells}</div>")
        else:
            made.append(f"<p>{_mrkdwn(block['text']['text'])}</p>")
    return "".join(made)


def _mrkdwn(text: str) -> str:
    """Slack's text is escaped already, as HTML is."""
    text = re.sub(r"<[^|>]+\|([^>]+)>", r"<a>\1</a>", text)
    return re.sub(r"(?m)^\*(.+)\*\n", r"<b>\1</b>", text)


def _button(label: str, *, first: bool = False) -> str:
    return f"<span class='button{' primary' if first else ''}'>{escape(label)}</span>"


def teams(shown: Shown) -> str:
    """An Adaptive Card."""
    card = shown.payload["attachments"][0]["content"]
    head, *rest = card["body"]
    top = "".join(
        f"<{'h3' if item.get('weight') else 'p'}>{_unmarked(item['text'])}</{'h3' if item.get('weight') else 'p'}>"
        for item in head["items"]
    )
    made = []
    for element in rest:
        if element["type"] == "FactSet":
            rows = "".join(
                f"<b>{_unmarked(f['title'])}</b><span>{_unmarked(f['value'])}</span>"
                for f in element["facts"]
            )
            made.append(f"<div class='facts'>{rows}</div>")
        else:
            made.append(f"<p>{_unmarked(element['text'])}</p>")
    buttons = "".join(_button(each["title"]) for each in card["actions"])
    return (
        f"<div class='box card'><div class='top {head['style']}'>{top}</div>"
        f"<div class='rest'>{''.join(made)}{buttons}</div></div>"
    )


def _unmarked(text: str) -> str:
    return escape(re.sub(r"\\(.)", r"\1", text)).replace("\n\n", "<br>")


def chat(name: str, shown: Shown) -> str:
    """Any other chat: what it shows, as text; names in brackets are links and buttons."""
    first, _, rest = shown.text.partition("\n")
    lines = re.sub(r"\[([^\]]+)\](?=$|\s)", lambda found: _button(found[1]), escape(rest.strip()))
    return f"<div class='box'><div class='head'><b>{name}</b></div>{_post(f'<h3>{escape(first)}</h3><p>{lines}</p>')}</div>"


def phones(*screens: tuple[str, str]) -> str:
    made = "".join(
        f"<div class='phone'><div class='clock'>{clock}</div>{body}</div>" for clock, body in screens
    )
    return f"<div class='row'>{made}</div>"


def push(shown: Shown) -> str:
    """A notification on a lock screen, of which the first lines are seen."""
    made = shown.payload
    acts = "".join(f"<span>{escape(each['label'])}</span>" for each in made["actions"])
    return (
        f"<div class='push'><div class='app'>ntfy · now</div><b>{escape(made['title'])}</b>"
        f"<div class='more'><p>{escape(made['message'])}</p></div><div class='acts'>{acts}</div></div>"
    )


def bubble(text: str) -> str:
    return f"<div class='bubble'><p>{escape(text)}</p></div>"


def call(text: str) -> str:
    said = "".join(f"<p>“{escape(part)}”</p>" for part in text.split("\n\n")[:1])
    return f"<div class='call'><h3>Ladder is calling</h3>{said}</div>"


def _short_links(text: str) -> str:
    return re.sub(r"(/v1/replies/\w+/\S{12})\S+", r"\1…", text)
