"""Rules of an AcceleratorPool: every candidate can be asked for, and all of them offer the same."""

from collections.abc import Iterator

from pointsman.documents.faults import Path, Problem
from pointsman.documents.machines import attachable, family, offer, takes_no_accelerator, tpu
from pointsman.documents.pool import AcceleratorPool, Candidate

__all__ = ["check_pool"]


def check_pool(pool: AcceleratorPool) -> Iterator[Problem]:
    """Problems of one pool by itself."""
    spec = pool.spec
    if spec.nodes.min > spec.nodes.max:
        yield Problem(
            "out-of-bounds",
            ("spec", "nodes", "min"),
            f"{spec.nodes.min} is more than max {spec.nodes.max}",
            "lower min or raise max",
        )
    seen: dict[str, int] = {}
    first: tuple[int, str | None] | None = None
    for index, candidate in enumerate(spec.candidates):
        path: Path = ("spec", "candidates", index)
        problems = list(_check_candidate(candidate, path))
        yield from problems
        if problems:
            continue
        name = candidate.node_pool_name(pool.metadata.name, spec.node)
        if name in seen:
            yield Problem(
                "candidate-invalid", path, f"is the same as candidate {seen[name] + 1}", "remove one, or change it"
            )
        seen.setdefault(name, index)
        offered = offer(candidate)
        if offered is None:
            continue
        if first is None:
            first = index, offered.resource
        elif offered.resource != first[1]:
            yield Problem(
                "accelerator-mismatch",
                (*path, "accelerator" if candidate.accelerator else "machineType"),
                f"offers {offered.resource or 'no accelerator'}, candidate {first[0] + 1} {first[1] or 'none'}",
                "make a pool for each: all candidates of a pool offer the same resource",
            )


def _check_candidate(candidate: Candidate, path: Path) -> Iterator[Problem]:
    if candidate.node_pool is not None:
        for name in sorted(candidate.model_fields_set - {"node_pool", "deadline", "cooldown"}):
            field = Candidate.model_fields[name].alias or name
            yield Problem(
                "candidate-invalid",
                (*path, field),
                f"does not go with nodePool {candidate.node_pool}, which somebody else made",
                "remove it, or remove nodePool",
            )
        return
    machine = candidate.machine_type
    if machine is None:
        yield Problem("missing-field", (*path, "machineType"), "missing", "give a machineType, or a nodePool")
        return
    yield from _check_mode(candidate, path)
    yield from _check_accelerator(candidate, machine, path)
    yield from _check_topology(candidate, machine, path)


def _check_mode(candidate: Candidate, path: Path) -> Iterator[Problem]:
    mode = candidate.provisioning
    if mode == "Reservation":
        if candidate.reservation is None:
            yield Problem(
                "candidate-invalid", (*path, "reservation"), "missing, for Reservation", "name the reservation"
            )
        if candidate.zones is None:
            yield Problem(
                "candidate-invalid", (*path, "zones"), "missing, for Reservation", "give the reservation's zone"
            )
        elif len(candidate.zones) != 1:
            yield Problem(
                "candidate-invalid",
                (*path, "zones"),
                f"{len(candidate.zones)} zones, a reservation is in one",
                "keep its zone, and make a candidate of each other reservation",
            )
    elif candidate.reservation is not None:
        yield Problem(
            "candidate-invalid",
            (*path, "reservation"),
            f"does not go with provisioning {mode}",
            "remove it, or set provisioning: Reservation",
        )
    if candidate.max_run_duration is not None and mode != "FlexStart":
        yield Problem(
            "candidate-invalid",
            (*path, "maxRunDuration"),
            f"does not go with provisioning {mode}",
            "remove it, or set provisioning: FlexStart",
        )


def _check_accelerator(candidate: Candidate, machine: str, path: Path) -> Iterator[Problem]:
    wanted, count = candidate.accelerator, candidate.accelerator_count
    has = offer(candidate)
    built_in = has is not None and has.label is not None and has.label != wanted
    if wanted is not None and built_in and has is not None:
        yield Problem(
            "candidate-invalid",
            (*path, "accelerator"),
            f"{machine} has {has.label}, not {wanted}",
            f"use {has.label}, or leave it out",
        )
    elif wanted is not None and (takes_no_accelerator(machine) or (family(machine) == "n1" and not attachable(wanted))):
        yield Problem(
            "candidate-invalid",
            (*path, "accelerator"),
            f"{machine} takes no {wanted}",
            "use a machine type that has it, or remove it",
        )
    elif wanted is not None and family(machine) == "n1" and count is None:
        yield Problem(
            "candidate-invalid", (*path, "acceleratorCount"), "missing, for an N1 machine", "say how many, as 1"
        )
    elif count is not None and has is not None and has.count != count:
        yield Problem(
            "candidate-invalid",
            (*path, "acceleratorCount"),
            f"{machine} has {has.count or 'none'}, not {count}",
            "leave it out: the machine type implies it",
        )


def _check_topology(candidate: Candidate, machine: str, path: Path) -> Iterator[Problem]:
    known, topology = tpu(machine), candidate.topology
    is_tpu = known is not None or (candidate.accelerator or "").startswith("tpu")
    if not is_tpu:
        if topology is not None:
            yield Problem("candidate-invalid", (*path, "topology"), f"{machine} is no TPU machine", "remove it")
        return
    shapes = " or ".join(known.shapes) if known else ""
    if topology is None:
        remedy = f"use {shapes}" if shapes else "give its single-host shape"
        yield Problem("candidate-invalid", (*path, "topology"), "missing, for a TPU", remedy)
    elif known is not None and topology not in known.shapes:
        hosts = known.hosts(topology)
        what = f"spans {hosts:.0f} hosts of" if hosts >= 2 and hosts == int(hosts) else "is no shape of"
        only = ", its only single-host shape" if len(known.shapes) == 1 else ""
        yield Problem("candidate-invalid", (*path, "topology"), f"{topology} {what} {machine}", f"use {shapes}{only}")
