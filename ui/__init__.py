"""Command line and Streamlit front end."""
