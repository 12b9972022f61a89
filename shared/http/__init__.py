"""What every HTTP API of Ladder shares: problems, what is wrong with a request, cursors of lists."""
