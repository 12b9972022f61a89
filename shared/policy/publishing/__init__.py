"""How a bundle reaches the processes that work by it: its form on the log, how large it may be, the feed."""
