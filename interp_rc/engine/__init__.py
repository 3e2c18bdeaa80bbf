"""The exact patching engine: sites, inputs, cached runs, patches and their effects."""
