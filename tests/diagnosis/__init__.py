"""``mtls-run try``, measured: is the true cause among the first that it names?"""
