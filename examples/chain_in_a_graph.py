"""The pricing chain as a node of someone's own graph, which sends doubtful books to a person."""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from bookpricer import PriceEstimate, PricingChain

chain = PricingChain.from_pretrained("embedded", cross_check=True)


class State(TypedDict, total=False):
    book: dict
    estimate: PriceEstimate
    decision: str


def price(state: State) -> State:
    return {"estimate": chain.invoke(state["book"])}


def publish(state: State) -> State:
    return {"decision": f"list it at {state['estimate'].price:.2f} {state['estimate'].currency}"}


def ask_a_person(state: State) -> State:
    return {"decision": f"a person should look: {', '.join(state['estimate'].flags)}"}


graph = StateGraph(State)
graph.add_node("price", price)
graph.add_node("publish", publish)
graph.add_node("ask_a_person", ask_a_person)
graph.add_edge(START, "price")
graph.add_conditional_edges("price", lambda state: "ask_a_person" if state["estimate"].flags else "publish")
graph.add_edge("publish", END)
graph.add_edge("ask_a_person", END)
app = graph.compile()

if __name__ == "__main__":
    book = {
        "title": "A History of Rome",
        "format": "Hardcover",
        "pages": 480,
        "description": "From its founding on. " * 9,
    }
    print(app.invoke({"book": book})["decision"])
