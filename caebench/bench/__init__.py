"""How fast things are, each beside its plain form in the same process. `caebench bench` prints it."""
