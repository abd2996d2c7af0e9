import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.memory import create_connected_server_and_client_session

from bookpricer import pricing_tools
from bookpricer.chains.server import http_app, mcp_server

BOOK = {"title": "A History of Rome", "format": "Hardcover", "pages": 480}


@pytest.fixture(scope="module")
def tools(chain):
    return pricing_tools(chain)


def connected(tools):
    """A session with the server in this process; a fixture would leave its scope in another task."""
    return create_connected_server_and_client_session(mcp_server(tools))


@pytest.fixture(scope="module")
def address(tools):
    """The server over HTTP on a free port of this machine."""
    import threading

    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(http_app(tools), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.time() + 60
    while not server.started and time.time() < deadline:
        time.sleep(0.05)
    assert server.started
    yield f"http://127.0.0.1:{port}/mcp"
    server.should_exit = True
    thread.join(20)


async def test_it_offers_every_tool_with_its_schema(tools):
    async with connected(tools) as session:
        offered = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert set(offered) == {tool.name for tool in tools}
    schema = offered["price_book"].inputSchema
    assert schema["type"] == "object" and {"title", "description", "format"} <= set(schema["properties"])
    assert "Price one book" in offered["price_book"].description


async def test_a_result_has_text_and_structure(chain, tools):
    async with connected(tools) as session:
        result = await session.call_tool("price_book", BOOK)
    assert not result.isError
    assert json.loads(result.content[0].text)["price"] == result.structuredContent["estimate"]["price"]
    assert result.structuredContent["estimate"]["price"] == pytest.approx(chain.invoke(BOOK).price, abs=0.02)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("price_book", {}, "no text to price"),
        ("price_book", {"title": "Emma", "pages": "many"}, "valid integer"),
        ("price_book", {"name": "Emma"}, "there is no argument 'name'"),
        ("no_such_tool", {}, "there is no tool"),
    ],
)
async def test_what_is_wrong_comes_back_as_a_sentence(tools, name, arguments, words):
    async with connected(tools) as session:
        result = await session.call_tool(name, arguments)
    assert result.isError and words in result.content[0].text and "Traceback" not in result.content[0].text


async def test_the_sdk_client_over_http_and_50_calls_at_once(address, chain):
    async with streamable_http_client(address) as (reading, writing, *_), ClientSession(reading, writing) as session:
        await session.initialize()
        books = [{"title": f"A History of Rome, volume {number}", "pages": 100 + number} for number in range(50)]
        results = await asyncio.gather(*(session.call_tool("price_book", book) for book in books))
    prices = [result.structuredContent["estimate"]["price"] for result in results]
    expected = [estimate.price for estimate in chain.batch(books)]
    assert prices == pytest.approx(expected, abs=0.02)


async def test_langchain_mcp_adapters_over_http(address, tools):
    client = MultiServerMCPClient({"books": {"url": address, "transport": "streamable_http"}})
    found = {tool.name: tool for tool in await client.get_tools()}
    assert set(found) == {tool.name for tool in tools}
    message = await found["cross_check_price"].ainvoke(
        {"type": "tool_call", "id": "1", "name": "cross_check_price", "args": BOOK}
    )
    assert message.artifact["structured_content"]["estimate"]["method"] == "cross_check"


async def test_another_hosts_page_cannot_reach_it(address):
    import httpx

    async with httpx.AsyncClient() as client:
        answer = await client.post(address, json={}, headers={"Host": "evil.example"})
    assert answer.status_code == 421


@pytest.mark.slow
async def test_both_clients_over_standard_input_and_output(root: Path):
    environment = {**os.environ, "PYTHONPATH": str(root.parent)} if root.name == "bookpricer" else dict(os.environ)
    code = "from bookpricer.ui.cli import main; main()"
    arguments = ["-c", code, "serve", "--mcp"]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        results = await asyncio.gather(*(session.call_tool("price_book", BOOK) for _ in range(50)))
    assert len({result.structuredContent["estimate"]["price"] for result in results}) == 1
    client = MultiServerMCPClient(
        {"books": {"command": sys.executable, "args": arguments, "env": environment, "transport": "stdio"}}
    )
    found = {tool.name: tool for tool in await client.get_tools()}
    assert json.loads((await found["price_book"].ainvoke(BOOK))[0]["text"])["price"] > 0


def test_without_the_extra_it_says_what_to_install():
    code = (
        "import sys; sys.modules['mcp'] = None\n"
        "from bookpricer.chains.server import mcp_server\n"
        "from bookpricer.training.errors import InputError\n"
        "try: mcp_server([])\n"
        "except InputError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "bookpricer[serve]" in run.stdout
