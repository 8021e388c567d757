"""botocore as an oracle: more of it than the package itself uses, so untyped."""

from __future__ import annotations

import importlib
from typing import Any

auth: Any = importlib.import_module("botocore.auth")
awsrequest: Any = importlib.import_module("botocore.awsrequest")
config: Any = importlib.import_module("botocore.config")
credentials: Any = importlib.import_module("botocore.credentials")
exceptions: Any = importlib.import_module("botocore.exceptions")
parsers: Any = importlib.import_module("botocore.parsers")
session: Any = importlib.import_module("botocore.session")
