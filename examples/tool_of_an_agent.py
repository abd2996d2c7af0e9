"""The pricing tools beside someone's own tool, in someone's own agent.

The chat model here is the package's offline planner, so that the example runs without a key; put any other that calls
tools in its place, such as `"openai:gpt-…"`.
"""

from langchain.agents import create_agent
from langchain.tools import tool
from langchain_core.messages import HumanMessage

from bookpricer import PricingChain, pricing_tools
from bookpricer.chains.offline_planner import OfflinePlanner


@tool
def stock(title: str) -> int:
    """How many copies of a book are in the shop."""
    return len(title) % 5


agent = create_agent(OfflinePlanner(), [stock, *pricing_tools(PricingChain.from_pretrained("embedded"))])

if __name__ == "__main__":
    question = HumanMessage("How much is a used 300-page hardcover on Roman history?")
    answer = agent.invoke({"messages": [question]})
    print(answer["messages"][-1].text)
