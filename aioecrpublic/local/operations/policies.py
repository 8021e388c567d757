"""Repository policies, and what they allow to other accounts."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any, Final

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import (
    InvalidParameterException,
    RepositoryNotFoundException,
    RepositoryPolicyNotFoundException,
)
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.state import Context, arn_of, find_repository, repository_of

if TYPE_CHECKING:
    from aioecrpublic.local.database import Cursor

_PREFIX: Final = "ecr-public:"
# A tuple: whatever JSON has can be looked for in it.
_EFFECTS: Final = ("Allow", "Deny")
# What concerns the caller's own account, whichever that is.
_OF_THE_CALLER: Final = frozenset({"DescribeRegistries", "GetAuthorizationToken"})


def set_repository_policy(
    context: Context, request: types.SetRepositoryPolicyRequest
) -> types.SetRepositoryPolicyResponse:
    """SetRepositoryPolicy; one that would shut its owner out needs ``force``."""
    name = request.repository_name
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        policy = _parse(request.policy_text)
        if not request.force and _shuts_out(policy):
            raise InvalidParameterException(
                "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'the policy would prevent "
                "its owner from setting another; use force'"
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
        cursor.run("UPDATE repository SET policy = NULL WHERE name = ?", request.repository_name)
    return types.DeleteRepositoryPolicyResponse(
        registry_id=REGISTRY_ID, repository_name=request.repository_name, policy_text=text
    )


def authorize(context: Context, operation: str, request: object) -> None:
    """Refuse what another account may not do: all but what a repository's policy allows it.

    Args:
        context: The call.
        operation: The operation's name.
        request: The request.

    Raises:
        ServiceError: ``AccessDeniedException``.
        RepositoryNotFoundException: The caller did not name this registry, and has none of its own.
    """
    if context.account == REGISTRY_ID or operation in _OF_THE_CALLER:
        return
    repository = getattr(request, "repository_name", None) or repository_of(
        getattr(request, "resource_arn", "")
    )
    if repository is None or not hasattr(request, "registry_id"):
        raise _denied(context.account, operation, "*" if repository is None else arn_of(repository))
    if request.registry_id in {None, context.account}:
        raise RepositoryNotFoundException(
            f"The repository with name '{repository}' does not exist in the registry with id "
            f"'{context.account}'"
        )
    with context.state.database.transaction() as cursor:
        check_allowed(cursor, context.account, operation, repository)


def check_allowed(cursor: Cursor, account: str, operation: str, repository: str) -> None:
    """Refuse an account that is neither the owner nor allowed the operation by the repository's policy.

    Raises:
        ServiceError: ``AccessDeniedException``.
    """
    if account == REGISTRY_ID:
        return
    text = cursor.value("SELECT policy FROM repository WHERE name = ?", repository)
    statements = _statements(json.loads(text)) if text else []
    effects = {statement["Effect"] for statement in statements if _concerns(statement, account, operation)}
    if effects != {"Allow"}:
        raise _denied(account, operation, arn_of(repository))


def _denied(account: str, operation: str, resource: str) -> ServiceError:
    action = f"{_PREFIX}{operation}"
    return ServiceError(
        f"User: arn:aws:iam::{account}:root is not authorized to perform: {action} on resource: {resource} "
        f"because no resource-based policy allows the {action} action",
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
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
            "'Invalid repository policy provided'"
        )
    return policy


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    found = policy.get("Statement")
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list):
        return []
    valid = all(
        isinstance(statement, dict) and statement.get("Effect") in _EFFECTS and "Action" in statement
        for statement in statements
    )
    return statements if valid else []


def _shuts_out(policy: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and _names_account(statement, REGISTRY_ID)
        and any(
            _matches(str(action), f"{_PREFIX}SetRepositoryPolicy") for action in _listed(statement["Action"])
        )
        for statement in _statements(policy)
    )


def _concerns(statement: dict[str, Any], account: str, operation: str) -> bool:
    """Whether a statement is about the account doing this.

    Conditions are not evaluated: what one denies is denied, what one allows is not allowed.
    """
    if "Condition" in statement and statement["Effect"] == "Allow":
        return False
    acts = any(_matches(str(action), f"{_PREFIX}{operation}") for action in _listed(statement["Action"]))
    return acts and _names_account(statement, account)


def _matches(pattern: str, action: str) -> bool:
    """Whether an action is meant by a policy's word for it: in any case, with ``*`` and ``?``."""
    return fnmatch.fnmatchcase(action.lower(), pattern.lower().replace("[", "[[]"))


def _names_account(statement: dict[str, Any], account: str) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    accounts = _listed(principal.get("AWS")) if isinstance(principal, dict) else []
    names = [str(who) for who in accounts]
    return any(name in {"*", account} or name.startswith(f"arn:aws:iam::{account}:") for name in names)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
