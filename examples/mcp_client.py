"""Another program that prices a book through the MCP server, which it starts itself."""

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "bookpricer.ui", "serve", "--mcp"], env=dict(os.environ)
    )
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        print([tool.name for tool in (await session.list_tools()).tools])
        result = await session.call_tool("cross_check_price", {"title": "A History of Rome", "format": "Hardcover"})
        estimate = (result.structuredContent or {})["estimate"]
        print(estimate["price"], estimate["currency"])


if __name__ == "__main__":
    asyncio.run(main())
