"""Cloud Scheduler: the jobs of the topology, on the clock or at once.

    GET  /v1/projects/P/locations/L/jobs            the jobs, each with its last attempt
    GET  /v1/projects/P/locations/L/jobs/sweep
    POST /v1/projects/P/locations/L/jobs/sweep:run  run it now; answers when the attempt has begun, as the service does

Every other call is answered 501, by name. A time that passed while nobody ran is not made up for.
"""

from pointsman_local.scheduler.server import serve

__all__ = ["serve"]
