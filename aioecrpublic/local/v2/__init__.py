"""The Docker Registry v2 side, which ``public.ecr.aws`` is: pulls for all, pushes with a token.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md says what it answers.
"""

from aioecrpublic.local.v2.side import V2Side

__all__ = ["V2Side"]
