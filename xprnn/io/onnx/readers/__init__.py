"""How the operators of a graph are read as layers."""
