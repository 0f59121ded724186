"""What `llm:`, `embedding:` and `rerank:` in `resources.yaml` stand for."""
