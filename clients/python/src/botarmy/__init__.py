"""Client of BotArmy, a control plane for teams of AI agents.

`Client` connects to a server; `botarmy.rest` has all of its operations and their types;
`Client.follow` yields live events; `Worker` does tasks.
"""

from ._retry import Retries
from .client import Client, new_idempotency_key
from .errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ProblemError,
    RateLimited,
    ServerError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from .events import Event
from .job import (
    Answer,
    Artifact,
    Ask,
    Cancelled,
    Fail,
    Job,
    NewArtifact,
    Result,
    Resume,
    Usage,
    json_object,
)
from .worker import Context, Handler, Outcome, Worker

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Artifact",
    "Ask",
    "BadRequest",
    "Cancelled",
    "Client",
    "Conflict",
    "Context",
    "Event",
    "Fail",
    "FieldError",
    "Forbidden",
    "Gone",
    "Handler",
    "Invalid",
    "Job",
    "NewArtifact",
    "NotFound",
    "Outcome",
    "ProblemError",
    "RateLimited",
    "Result",
    "Resume",
    "Retries",
    "ServerError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Usage",
    "Worker",
    "json_object",
    "new_idempotency_key",
]
