"""Ladder as its users have it: real processes, real servers, real sockets. For stories, bad days and bench."""
