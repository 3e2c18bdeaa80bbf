"""Facts written into a model by hand: rank-one changes of what an MLP writes (Meng et al. 2022,
arXiv:2202.05262 and arXiv:2210.07229)."""
