"""The floor: the least that any chain over the same servers has to do, without a policy.

Bare intake → Kafka → one bulk statement → Kafka → one row → POST, in three processes. What Ladder adds to it
is the price of deciding; the rest belongs to Kafka, PostgreSQL and HTTP.
"""
