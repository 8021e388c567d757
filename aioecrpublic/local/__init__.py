"""An ECR Public of your own: the API, its store and its rules, in this process or as a command.

It verifies signatures, part order and digests as the service does, so that what works here works there.
"""

from aioecrpublic.local.server import LocalECRPublic
from aioecrpublic.local.threaded import serve_in_thread

__all__ = ["LocalECRPublic", "serve_in_thread"]
