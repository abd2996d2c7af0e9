"""The pricing agent as a LangGraph server app; the server brings the memory."""

import os

from bookpricer import pricing_agent

graph = pricing_agent(os.environ.get("BOOKPRICER_CHAT_MODEL"))
