"""Whole jobs on top of the client."""

from aioecrpublic.manage.catalog import CatalogChange, CatalogResult, sync_catalog
from aioecrpublic.manage.docker_login import login, use_credential_helper
from aioecrpublic.manage.prune_execution import PruneFailure, PruneResult, execute_prune
from aioecrpublic.manage.prune_plan import PlannedImage, PrunePlan
from aioecrpublic.manage.prune_rules import PruneRules
from aioecrpublic.manage.pruning import plan_prune, prune
from aioecrpublic.manage.reading import ReadManifest, manifest_reader
from aioecrpublic.manage.token import TOKEN_REGION, RegistryToken, registry_token

__all__ = [
    "TOKEN_REGION",
    "CatalogChange",
    "CatalogResult",
    "PlannedImage",
    "PruneFailure",
    "PrunePlan",
    "PruneResult",
    "PruneRules",
    "ReadManifest",
    "RegistryToken",
    "execute_prune",
    "login",
    "manifest_reader",
    "plan_prune",
    "prune",
    "registry_token",
    "sync_catalog",
    "use_credential_helper",
]
