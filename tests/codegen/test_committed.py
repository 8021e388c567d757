"""The committed client beside the model in the pinned botocore; another botocore may have a newer model."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aioecrpublic import ECRPublicClient
from aioecrpublic._generated import errors, types
from aioecrpublic._generated.service import OPERATIONS, SERVICE, SHAPES
from aioecrpublic._runtime.shapes import Structure
from aioecrpublic.codegen import __main__ as command
from tests.support import oracle

if TYPE_CHECKING:
    import pytest


def test_what_is_committed_is_what_the_generator_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0, capsys.readouterr().err


def theirs() -> Any:
    return oracle.session.Session().get_service_model("ecr-public")


def test_every_operation_of_the_model_is_a_method() -> None:
    model = theirs()
    assert list(OPERATIONS) == sorted(model.operation_names)
    assert len(OPERATIONS) == 23
    for name, operation in OPERATIONS.items():
        method = getattr(ECRPublicClient, operation.method)
        assert asyncio.iscoroutinefunction(method), name
        assert method.__doc__, name
        known = {shape.name for shape in model.operation_model(name).error_shapes}
        assert {cls.default_code for cls in operation.errors} == known


def test_every_shape_has_the_models_members_and_constraints() -> None:
    model = theirs()
    for name in SHAPES:
        shape, ours = model.shape_for(name) if name in model.shape_names else None, SHAPES[name]
        if shape is None or not isinstance(ours, Structure):
            continue
        assert [member.wire for member in ours.members] == list(shape.members), name
        assert {member.wire for member in ours.members if member.required} == set(shape.required_members), (
            name
        )


def test_every_error_of_the_model_is_a_class() -> None:
    known = {shape.name for shape in theirs().error_shapes}
    assert set(errors.__all__) == set(SERVICE.errors) == known


def test_enums_have_the_models_values() -> None:
    model = theirs()
    enums = {name for name in model.shape_names if getattr(model.shape_for(name), "enum", None)}
    assert enums == {"ImageFailureCode", "LayerAvailability", "LayerFailureCode", "RegistryAliasStatus"}
    for name in enums:
        assert [value.value for value in getattr(types, name)] == model.shape_for(name).enum


def test_every_paginator_of_the_model_is_a_method() -> None:
    paged = {name for name, operation in OPERATIONS.items() if operation.pagination}
    assert paged == {"DescribeImageTags", "DescribeImages", "DescribeRegistries", "DescribeRepositories"}
    assert all(hasattr(ECRPublicClient, f"paginate_{OPERATIONS[name].method}") for name in paged)


def test_no_markup_is_left_in_the_documentation() -> None:
    for module in (types, errors):
        for name in module.__all__:
            doc = getattr(module, name).__doc__
            assert doc
            assert "<p>" not in doc
            assert "</" not in doc
