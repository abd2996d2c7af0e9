"""LangChain tools and the comparables retriever come here."""
