"""MLPs read as key–value memories (Geva et al. 2021, arXiv:2012.14913).

Each neuron has a key, which it compares with what the MLP reads, a coefficient, and a value, which
it writes.
"""
