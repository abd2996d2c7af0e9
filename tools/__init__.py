"""LangChain tools around what prices a book, and the retriever of comparable books.

Each tool takes typed arguments, runs with and without an event loop, and gives a text for the model beside an artifact
for programs. What a user or a model can mend comes back as a sentence, not as an exception.
"""
