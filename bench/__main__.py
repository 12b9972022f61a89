"""`python -m bench [part …]`: everything, or the parts that are named."""

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
    "road",
    "rotation",
    "start",
    "memory",
)


def main() -> None:
    chosen = sys.argv[1:] or PARTS
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name in chosen:
        importlib.import_module(f"bench.{name}").run()


if __name__ == "__main__":
    main()
