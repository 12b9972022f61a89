"""The command line against a running Ladder: everything here speaks HTTP and nothing else."""
