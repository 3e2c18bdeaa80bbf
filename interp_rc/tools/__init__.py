"""Where it is stored: the public functions, a family a folder."""
