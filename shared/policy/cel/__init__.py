"""Expressions (CEL): the names they may use, how they are compiled and evaluated, what can never work."""
