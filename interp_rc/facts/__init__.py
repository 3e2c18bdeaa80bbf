"""What is learnt: people, worlds, their templates, documents, queries and files."""
