"""`python -m bench [part …]`: everything, or the parts named; `latency=20,100,300` at these rates."""

import importlib
import sys

PARTS = (
    "customers",
    "decide",
    "intake",
    "latency",
    "readers",
    "replay",
    "reports",
    "retention",
    "sending",
    "road",
    "rotation",
    "start",
    "memory",
)


def main() -> None:
    chosen = sys.argv[1:] or PARTS
    asked = [name.partition("=") for name in chosen]
    unknown = [name for name, _, _ in asked if name not in PARTS]
    if unknown:
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name, _, options in asked:
        importlib.import_module(f"bench.{name}").run(*options.split(",") if options else ())


if __name__ == "__main__":
    main()
