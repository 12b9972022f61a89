"""The policy of the test world: every contact is a path of the sink.

The service that an event names chooses its ladder:
- `steady`: pages the event's customer and waits half an hour: one page an incident, over many recipients
- `quick`: ana, then petra, then karel again and again, a few seconds apart
- `beside`: hana and ana at once, so that a hanging endpoint stands beside a good one
"""

from typing import Final

from shared.security.keys import digest
from tests.world.sink import Sink

KEY: Final = "ladder-test-key"
CUSTOMERS: Final = 50

_BUNDLE: Final = """\
version: 1
last_resort: [user:karel]
tiers: [gold, standard]
users:
  ana: {{name: Ana, timezone: UTC, role: admin, contacts: {{hook: {{webhook: "{ana}"}}}}}}
  petra: {{name: Petra, timezone: UTC, role: lead, contacts: {{hook: {{webhook: "{petra}"}}}}}}
  karel: {{name: Karel, timezone: UTC, role: admin, contacts: {{hook: {{webhook: "{karel}"}}}}}}
  hana: {{name: Hana, timezone: UTC, contacts: {{hook: {{webhook: "{hana}"}}}}}}
customers:
{customers}
policies:
  steady:
    levels: [{{name: desk, notify: [customer], acknowledge_within: 30m}}]
    finally: {{notify: [user:karel], every: 1h}}
  quick:
    levels:
      - {{name: desk, notify: [user:ana], acknowledge_within: {step}}}
      - {{name: experts, notify: [user:petra], acknowledge_within: {step}}}
    finally: {{notify: [user:karel], every: {step}}}
  beside:
    levels: [{{name: desk, notify: [user:hana, user:ana], acknowledge_within: 30m}}]
    finally: {{notify: [user:karel], every: 1h}}
routes:
  - {{when: "service == 'quick'", policy: quick}}
  - {{when: "service == 'beside'", policy: beside}}
  - {{policy: steady}}
services: {{steady: {{name: Steady}}, quick: {{name: Quick}}, beside: {{name: Beside}}}}
integrations:
  tests: {{kind: native, keys: [{{sha256: "{digest}"}}]}}
api_keys:
  tests: {{keys: [{{sha256: "{digest}"}}], acts_as: ana, role: admin}}
"""


def bundle(sink: Sink, *, step: str = "3s", customers: int = CUSTOMERS) -> str:
    """The bundle as YAML, with every address on this sink."""
    people = {name: sink.url(f"/{name}") for name in ("ana", "petra", "karel", "hana")}
    lines = [
        f"  {customer(number)}: {{name: Customer {number}, tier: standard, contacts: "
        f'{{hook: {{webhook: "{sink.url("/" + customer(number))}"}}}}}}'
        for number in range(customers)
    ]
    return _BUNDLE.format(customers="\n".join(lines), step=step, digest=digest(KEY), **people)


def customer(number: int) -> str:
    return f"c{number:04d}"


def steady(key: str) -> dict[str, str]:
    """A problem that pages one of many customers; which one follows from the number the key ends in."""
    number = int(key.rpartition("-")[2]) % CUSTOMERS
    return {"dedup_key": key, "title": f"Problem {key}", "service": "steady", "customer": customer(number)}


def quick(key: str) -> dict[str, str]:
    """A problem that climbs within seconds."""
    return {"dedup_key": key, "title": f"Problem {key}", "service": "quick"}


def over(key: str) -> dict[str, str]:
    """It is solved: what climbs for ever pages into the tests after this one."""
    return {"dedup_key": key, "action": "resolve"}


def beside(key: str) -> dict[str, str]:
    """A problem that pages a hanging endpoint and a good one."""
    return {"dedup_key": key, "title": f"Problem {key}", "service": "beside"}
