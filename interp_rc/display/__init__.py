"""What a person sees: figures, tables, sections of a page, and their words."""
