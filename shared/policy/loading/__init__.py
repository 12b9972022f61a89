"""From files to a bundle: reading with the place of every value, validation, references, a dry run."""
