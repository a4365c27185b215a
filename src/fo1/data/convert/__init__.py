"""Other people's annotation files, read as `Annotated` images: one small file per source."""
