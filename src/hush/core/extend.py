"""What authors of new nodes, of new kinds of resources, and of what these are served by import."""

from __future__ import annotations

from hush.core._expr._ref import Handle, Ref
from hush.core._expr._where import Where, caller
from hush.core._logs import logger
from hush.core._resources._hub import resource_in
from hush.core._resources._limit import SPELLINGS as LIMIT_SPELLINGS
from hush.core._resources._limit import limit_of, limit_settings
from hush.core._resources._named import without_named_secrets
from hush.core._resources._secret_names import is_secret_name
from hush.core._resources._secrets import (
    looks_secret,
    remember_secrets,
    secrets_known,
    without_secrets,
)
from hush.core._resources._types import Fault, ResourceKind, ResourceType
from hush.core._spec._policies import Uses
from hush.core._spec._serving import Again, ProbedResource, Resource, Service, Serving
from hush.core._spec._signature import Parameter, Signature, signature_of
from hush.core.errors import nearest
from hush.core.nodes._leaf import Leaf

__all__ = (
    "LIMIT_SPELLINGS",
    "Again",
    "Fault",
    "Handle",
    "Leaf",
    "Parameter",
    "ProbedResource",
    "Ref",
    "Resource",
    "ResourceKind",
    "ResourceType",
    "Service",
    "Serving",
    "Signature",
    "Uses",
    "Where",
    "caller",
    "is_secret_name",
    "limit_of",
    "limit_settings",
    "logger",
    "looks_secret",
    "nearest",
    "remember_secrets",
    "resource_in",
    "secrets_known",
    "signature_of",
    "without_named_secrets",
    "without_secrets",
)
