"""Spans over OpenTelemetry's protocol: to any collector, and to Langfuse."""
