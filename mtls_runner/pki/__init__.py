"""Keys, certificates and files: from descriptions, or from what the user brings."""
