"""The catalogue of faults, run over backends, clients and TLS versions: the product's proof and its reference."""
