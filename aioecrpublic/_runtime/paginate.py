"""Paginators: all pages of an operation as one async iterator."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from aioecrpublic._runtime.errors import BrokenReplyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from aioecrpublic._runtime.shapes import Operation, Pagination, RequestT, Response

PageT = TypeVar("PageT", bound="Response")
ItemT = TypeVar("ItemT")


class Paginator(Generic[PageT, ItemT]):
    """Every item of an operation that answers in pages: ``async for item in paginator``.

    Pages are fetched as they are reached, one at a time. Each iteration begins anew.
    """

    def __init__(
        self,
        call: Callable[[Operation[RequestT, PageT], RequestT], Awaitable[PageT]],
        operation: Operation[RequestT, PageT],
        request: RequestT,
    ) -> None:
        if operation.pagination is None:
            raise TypeError(f"{operation.name} does not page")
        self._call: Callable[[Operation[Any, PageT], Any], Awaitable[PageT]] = call
        self._operation: Operation[Any, PageT] = operation
        self._pagination: Pagination = operation.pagination
        self._request: Any = request

    async def pages(self) -> AsyncGenerator[PageT, None]:
        """The responses, page after page.

        Raises:
            BrokenReplyError: The service answers the token that it was asked with, which would never end.
        """
        request = self._request
        seen = {getattr(request, self._pagination.input_token)}
        while True:
            page = await self._call(self._operation, request)
            yield page
            token = getattr(page, self._pagination.output_token)
            if not token:
                return
            if token in seen:
                raise BrokenReplyError(
                    f"{self._operation.method}: the service answered the same page token twice"
                )
            seen.add(token)
            request = attrs.evolve(request, **{self._pagination.input_token: token})

    async def __aiter__(self) -> AsyncGenerator[ItemT, None]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for item in getattr(page, self._pagination.result):
                    yield item  # noqa: ASYNC119 - whoever closes this closes the pages

    async def collect(self, limit: int | None = None) -> list[ItemT]:
        """The items as a list, at most ``limit`` of them; no page is fetched beyond the one that fills it.

        Raises:
            ValueError: ``limit`` is negative.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit is {limit}, at least 0")
        items: list[ItemT] = []
        if limit == 0:
            return items
        async with aclosing(aiter(self)) as found:
            async for item in found:
                items.append(item)
                if len(items) == limit:
                    break
        return items
