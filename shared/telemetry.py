"""Logs: JSON for machines, coloured lines for a terminal, with the incident and the event they are about.

`with about(incident="…", event_id="…"):` binds those ids to every line logged inside. (`event` is the key
under which structlog keeps the line's own words.)
"""

import json
import logging
import sys
from typing import Any, Literal, TypeAlias

import msgspec
import structlog
from structlog.contextvars import bound_contextvars as about

__all__ = ["LogFormat", "about", "configure", "logger", "tells"]

LogFormat: TypeAlias = Literal["json", "console"]


def configure(style: LogFormat, level: str) -> None:
    """Send every log line, the libraries' included, to standard error in one style.

    `level` is a name of the standard library: DEBUG, INFO, WARNING, ERROR.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[Any]
    if style == "json":
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "alembic", "httpx2", "httpcore2", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _json(line: Any, default: Any, **_: Any) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=default).decode()
    except (TypeError, ValueError):  # a lone surrogate, a key that is no text
        return json.dumps(line, default=default)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module."""
    made: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return made


def tells(level: int = logging.INFO) -> bool:
    """Whether lines of this level are written: asked before a line whose fields cost something to gather."""
    return logging.getLogger().isEnabledFor(level)
