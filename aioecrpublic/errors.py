"""Every error that this package raises, the modelled ones by the names of the service model.

The tree is drawn in ``aioecrpublic._runtime.errors``.
"""
