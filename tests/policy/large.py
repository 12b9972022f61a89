"""A bundle of a large organisation, as a program writes it."""

import json
import random
from typing import Any


def large(users: int = 10_000, policies: int = 1_000, **sections: Any) -> dict[str, Any]:
    """So many people with three contacts each, and a ladder, a service and a route for each policy."""
    people = {f"user-{n:05}": _user(n) for n in range(users)}
    ladders = {f"policy-{n:04}": _ladder(n, users) for n in range(policies)}
    routes = [{"when": f"service == 'svc-{n}'", "policy": f"policy-{n:04}"} for n in range(policies)]
    return {
        "version": 1,
        "last_resort": ["user:user-00000"],
        "users": people,
        "policies": ladders,
        "routes": [*routes, {"policy": "policy-0000"}],
    } | sections


def as_json(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain).encode()


def incompressible(size: int) -> dict[str, Any]:
    """A small bundle with templates of so many bytes that hold nothing that repeats."""
    letters = random.Random(7)
    text = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    bodies = ["".join(letters.choices(text, k=19_000)) for _ in range(size // 19_000 + 1)]
    templates = {f"t-{n}": {"title": "x", "body": body} for n, body in enumerate(bodies)}
    return large(users=1, policies=1, templates=templates)


def _user(n: int) -> dict[str, Any]:
    company = f"company-{n % 50}.example"
    made = {
        "name": f"Person Number {n}",
        "timezone": "Europe/Prague",
        "skills": [f"skill-{n % 40}", f"area-{n % 17}"],
        "contacts": {
            "mail": {"email": f"person.{n}@{company}"},
            "phone": {"sms": f"+420{600_000_000 + n * 7919 % 99_999_999}"},
            "chat": {"webhook": f"https://hooks.{company}/people/{n * 2654435761 % 2**32:08x}"},
        },
    }
    return made | ({"manager": f"user-{n // 10:05}"} if n else {})


def _ladder(n: int, users: int) -> dict[str, Any]:
    first, second, third = (f"user:user-{(n * 10 + each) % users:05}" for each in range(3))
    return {
        "levels": [
            {"name": "first", "notify": list(dict.fromkeys([first, second])), "acknowledge_within": "5m"},
            {
                "name": "second",
                "notify": [third],
                "acknowledge_within": "10m",
                "handles": f"service != 'svc-{n}'",
            },
        ]
    }
