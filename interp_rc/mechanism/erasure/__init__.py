"""A fact cut out in one order: does it survive in the other? One store or two."""
