"""The floor: the least that a chain over the same servers must do, with no policy at all.

Bare intake → Kafka → one bulk statement → Kafka → one row → POST, in three processes. What Ladder adds above
it is the price of deciding; what lies below it belongs to Kafka, PostgreSQL and HTTP.
"""
