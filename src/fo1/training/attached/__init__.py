"""Training of attached models: any family's base with `fo1.attach`, on `fo1.data` records."""
