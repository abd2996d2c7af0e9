"""A web service with one route: `uvicorn fastapi_route:app`, then POST a book to /price."""

from typing import Any

from fastapi import FastAPI, HTTPException

from bookpricer import PriceEstimate, PricingChain
from bookpricer.training.errors import InputError

chain = PricingChain.from_pretrained("embedded")
app = FastAPI(title="Book prices")


@app.post("/price")
async def price(book: dict[str, Any]) -> PriceEstimate:
    """The price of one book, given under any common column names."""
    try:
        return await chain.ainvoke(book)
    except InputError as error:
        raise HTTPException(422, str(error)) from error


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
