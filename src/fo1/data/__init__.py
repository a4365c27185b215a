"""Training data: one format, its files, and what is made from them."""
