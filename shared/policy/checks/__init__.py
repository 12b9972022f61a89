"""What `ladder check` finds in a bundle that loads: what it will never do, and the report of all findings."""
