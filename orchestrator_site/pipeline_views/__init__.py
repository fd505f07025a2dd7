"""The page of one pipeline: views of it, each at an address of its own below the pipeline's."""
