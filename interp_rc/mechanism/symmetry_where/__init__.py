"""Where in an encoder the class of a relation sits: symmetric or antisymmetric."""
