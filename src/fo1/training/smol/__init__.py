"""Training of the bundled model from packages; see docs/fo1-smol.md."""
