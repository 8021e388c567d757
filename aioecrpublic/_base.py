"""The root of the error tree: a leaf that every layer may import."""


class ECRPublicError(Exception):
    """Anything this package raises on purpose; catch it to catch them all."""
