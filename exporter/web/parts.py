"""Sends pages in parts, to clients that may disconnect in between."""

import asyncio
from collections.abc import Awaitable, Callable

from exporter.web.app import Message, Receive, Send

App = Callable[[Message, Receive, Send], Awaitable[None]]


def yield_between_parts(app: App) -> App:
    """Let the event loop run after each part of a page but the last.

    If a client disconnects, the first write fails, but uvicorn learns of it only when the loop runs
    again. Until then asyncio would log each further write.
    """

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        async def send_part(message: Message) -> None:
            await send(message)
            if message.get("more_body"):
                await asyncio.sleep(0)

        await app(scope, receive, send_part)

    return answer
