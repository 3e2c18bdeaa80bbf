"""Where a model's components are: one small adapter a family, each proving itself when made."""
