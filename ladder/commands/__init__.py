"""The commands of `ladder`, other than serving. Importing them is cheap: `ladder --help` stays quick."""
