"""What the generator raises."""


class GeneratorError(Exception):
    """A model, an overlay or an argument that the generator does not understand."""
