"""What people read in the terminal: help and errors, the banner, and the story while Ladder runs."""
