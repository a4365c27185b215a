"""A model behind HTTP: `fo1 serve`."""
