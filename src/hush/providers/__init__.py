"""Prompts, language models, embeddings and rerankers, as nodes."""
