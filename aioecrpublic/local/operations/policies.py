"""Repository policies, and what they allow to other accounts."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any, Final

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import InvalidParameterException, RepositoryPolicyNotFoundException
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.state import Context, arn_of, find_repository

if TYPE_CHECKING:
    from aioecrpublic.local.database import Cursor

_PUSH: Final = "ecr-public:PutImage"
_POLICY_ACTIONS: Final = frozenset({
    "ecr-public:*",
    "ecr-public:DeleteRepositoryPolicy",
    "ecr-public:GetRepositoryPolicy",
    "ecr-public:SetRepositoryPolicy",
})  # fmt: skip


def set_repository_policy(
    context: Context, request: types.SetRepositoryPolicyRequest
) -> types.SetRepositoryPolicyResponse:
    """SetRepositoryPolicy; one that would shut its owner out needs ``force``."""
    name = request.repository_name
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        _check_owner(context)
        policy = _parse(request.policy_text)
        if not request.force and _shuts_out(policy):
            raise InvalidParameterException(
                "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'the policy would prevent its "
                "owner from setting another; use force'"
            )
        cursor.run("UPDATE repository SET policy = ? WHERE name = ?", request.policy_text, name)
    return types.SetRepositoryPolicyResponse(
        registry_id=REGISTRY_ID, repository_name=name, policy_text=request.policy_text
    )


def get_repository_policy(
    context: Context, request: types.GetRepositoryPolicyRequest
) -> types.GetRepositoryPolicyResponse:
    """GetRepositoryPolicy."""
    with context.state.database.transaction() as cursor:
        text = _policy_text(cursor, request.repository_name, request.registry_id)
    return types.GetRepositoryPolicyResponse(
        registry_id=REGISTRY_ID, repository_name=request.repository_name, policy_text=text
    )


def delete_repository_policy(
    context: Context, request: types.DeleteRepositoryPolicyRequest
) -> types.DeleteRepositoryPolicyResponse:
    """DeleteRepositoryPolicy."""
    with context.state.database.transaction() as cursor:
        text = _policy_text(cursor, request.repository_name, request.registry_id)
        _check_owner(context)
        cursor.run("UPDATE repository SET policy = NULL WHERE name = ?", request.repository_name)
    return types.DeleteRepositoryPolicyResponse(
        registry_id=REGISTRY_ID, repository_name=request.repository_name, policy_text=text
    )


def check_may_push(context: Context, cursor: Cursor, repository: str) -> None:
    """Refuse an account that is neither the owner nor allowed by the repository's policy.

    Raises:
        ServiceError: ``AccessDeniedException``.
    """
    if context.account == REGISTRY_ID:
        return
    text = cursor.value("SELECT policy FROM repository WHERE name = ?", repository)
    statements = _statements(json.loads(text)) if text else []
    matching = [statement for statement in statements if _concerns(statement, context.account)]
    effects = {statement.get("Effect") for statement in matching}
    if effects != {"Allow"}:
        raise ServiceError(
            f"User: arn:aws:iam::{context.account}:root is not authorized to perform: {_PUSH} on resource: "
            f"{arn_of(repository)} because no resource-based policy allows the {_PUSH} action",
            code="AccessDeniedException",
        )


def _check_owner(context: Context) -> None:
    if context.account != REGISTRY_ID:
        raise ServiceError(
            f"User: arn:aws:iam::{context.account}:root is not authorized to change the repository's policy",
            code="AccessDeniedException",
        )


def _policy_text(cursor: Cursor, name: str, registry_id: str | None) -> str:
    find_repository(cursor, name, registry_id)
    text: str | None = cursor.value("SELECT policy FROM repository WHERE name = ?", name)
    if text is None:
        raise RepositoryPolicyNotFoundException(
            f"Repository policy does not exist for the repository with name '{name}' in the registry with id "
            f"'{REGISTRY_ID}'"
        )
    return text


def _parse(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict) or not _statements(policy):
        raise InvalidParameterException(
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
        )
    return policy


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    found = policy.get("Statement")
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list):
        return []
    valid = all(
        isinstance(statement, dict) and statement.get("Effect") in {"Allow", "Deny"} and "Action" in statement
        for statement in statements
    )
    return statements if valid else []


def _shuts_out(policy: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and _names_account(statement, REGISTRY_ID)
        and any(action == "*" or action in _POLICY_ACTIONS for action in _listed(statement["Action"]))
        for statement in _statements(policy)
    )


def _concerns(statement: dict[str, Any], account: str) -> bool:
    acts = any(fnmatch.fnmatchcase(_PUSH, str(action)) for action in _listed(statement.get("Action")))
    return acts and _names_account(statement, account)


def _names_account(statement: dict[str, Any], account: str) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    accounts = _listed(principal.get("AWS")) if isinstance(principal, dict) else []
    return any(who in {"*", account} or str(who).startswith(f"arn:aws:iam::{account}:") for who in accounts)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
