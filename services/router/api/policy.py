"""`/v1/policy`: the policy in force, and putting another one in force."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.router import metrics
from services.router.api.access import Access, Caller, Route, unavailable
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.policy import (
    FailingExpression,
    PolicyChecked,
    PolicyFinding,
    PolicyStatus,
    PolicyTaken,
    Sending,
)
from services.router.batch.engine import Engine
from services.router.batch.expression_failures import Failing
from services.router.domain.model.compiled_bundle import compile_sized
from services.router.policy import installation, store
from services.router.policy.compiled_cache import InForce, moment
from services.router.policy.findings import Judged
from shared.http.problems import Problem
from shared.json_object import JsonObject
from shared.policy import Bundle, Installation, LoadResult, PolicyError, PolicyErrors, check, not_in_force
from shared.policy.checks.report import entry
from shared.policy.model.base import Role, at_least

_NAME: Final = "bundle.yaml"
_MAY_APPLY: Final[Role] = "admin"
_BODY: Final[Mapping[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The bundle, as one YAML document or as JSON.",
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


def policy(engine: Engine, access: Access, wake_relay: Callable[[], None]) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/policy", tags=["policy"], route_class=Route)
    judged = Judged()

    async def where_it_is_to_work() -> Installation:
        async with engine.database.reading.transaction("ask again later") as connection:
            now, _ = await moment(connection)
            return await installation.read(connection, now)

    @router.get(
        "",
        operation_id="get_policy",
        summary="The policy in force",
        response_class=Response,
        responses=answers(
            PolicyStatus, "Its hash and revision, where it came from, what is not in force, what failed."
        ),
        dependencies=[Depends(access.needs("viewer"))],
    )
    async def current() -> Response:
        async with engine.database.reading.transaction("ask again later") as connection:
            now, in_force = await moment(connection)
            if in_force is None:
                raise unavailable("no policy is in force yet")
            live = await engine.bundles.one(connection, in_force.hash)
            failing = await engine.failures.listed(connection, in_force.hash)
            where, findings = await judged.findings(connection, live, now)
        return answer(_status(in_force, live.spec, failing, findings, where))

    @router.put(
        "",
        operation_id="put_policy",
        summary="Check a bundle and put it in force",
        response_class=Response,
        responses=answers(
            PolicyTaken,
            "It is in force; intake and notifier learn of it at once.",
            {
                409: "The key that asks could apply nothing any more; `force=true` does it all the same.",
                422: "The bundle has errors: each with file, line, column and path. Nothing was changed.",
            },
        ),
        openapi_extra=dict(_BODY),
    )
    async def replace(
        request: Request,
        caller: Annotated[Caller, Depends(access.needs(_MAY_APPLY))],
        *,
        force: Annotated[bool, Query(description="Also where your key loses the right to apply.")] = False,
    ) -> Response:
        body = await request.body()
        where = await where_it_is_to_work()
        looked = await asyncio.to_thread(_look, body, where)
        if looked.errors:
            metrics.POLICY_REFUSED.labels("api").inc()
            raise refused(PolicyErrors(looked.errors))
        compiled, size = await asyncio.to_thread(compile_sized, looked.sound)
        if not force:
            _refuse_lockout(caller, access.role_under(compiled.spec, caller))
        engine.bundles.keep(compiled, size)
        async with engine.database.transaction() as connection:
            by = caller.actor.name
            applied = await store.replace(connection, engine.bundles, compiled, source="api", by=by)
            failing = await engine.failures.listed(connection, applied.in_force.hash)
        wake_relay()
        engine.alarm.earlier(caller.now)
        findings = [*looked.findings, *applied.lacks]
        status = _status(applied.in_force, compiled.spec, failing, findings, where)
        return answer(PolicyTaken(**msgspec.structs.asdict(status), changes=applied.changes))

    @router.post(
        "/check",
        operation_id="check_policy",
        summary="What would be said of a bundle here",
        response_class=Response,
        responses=answers(
            PolicyChecked,
            "Its findings, and what stands that names what it lacks. Nothing is changed.",
        ),
        openapi_extra=dict(_BODY),
        dependencies=[Depends(access.needs("lead"))],  # a large one keeps a processor busy for seconds
    )
    async def check(request: Request) -> Response:
        body = await request.body()
        where = await where_it_is_to_work()
        looked = await asyncio.to_thread(_look, body, where)
        findings, chosen = list(looked.findings), None
        if looked.loads:
            compiled, _ = await asyncio.to_thread(compile_sized, looked.sound)
            chosen = compiled.hash
            async with engine.database.reading.transaction("ask again later") as connection:
                findings += await store.lacks(connection, engine.bundles, compiled)
        sends = _sends(where)
        made = PolicyChecked(ok=not looked.errors, hash=chosen, findings=_shown(findings), sends=sends)
        return answer(made)

    return router


def _refuse_lockout(caller: Caller, role: Role | None) -> None:
    """Whoever applies a policy must be able to apply the next one, in order to correct a mistake in it."""
    if role is not None and at_least(role, _MAY_APPLY):
        return
    key = caller.holder.key
    has = f"has the role {role} there" if role else "is not among its api_keys"
    raise Problem(
        409,
        "would-lock-out",
        "With this policy your key could not apply another one",
        f"the key you use (now api_keys.{key}) {has}, and applying needs {_MAY_APPLY}: give it that role in "
        "the new policy, apply it with a key that has it, or insist (`ladder apply --force`, "
        "`PUT /v1/policy?force=true`); nothing was changed",
        extra={"key": key, "role": role, "needed": _MAY_APPLY},
    )


def refused(err: PolicyErrors) -> Problem:
    """The Problem with every error and its place; nothing was changed."""
    return Problem(
        422,
        "policy-refused",
        "The bundle cannot be used",
        "The policy in force stays as it is.",
        extra={"errors": [_fault(error) for error in err.errors]},
    )


def _fault(error: PolicyError) -> JsonObject:
    return {
        **entry(error),
        "field": error.path,
        "reason": error.message,
        "file": Path(error.place.file).name,
    }


def _look(body: bytes, where: Installation) -> LoadResult:
    """Load it as files are loaded, so that findings carry line and column. JSON is YAML, too."""
    with tempfile.TemporaryDirectory(prefix="ladder-policy-") as folder:
        file = Path(folder) / _NAME
        file.write_bytes(body)
        return check(file, where)


def _shown(findings: Sequence[PolicyError]) -> list[PolicyFinding]:
    return [
        msgspec.convert(entry(each) | {"file": Path(each.place.file).name}, PolicyFinding)
        for each in findings
    ]


def _sends(where: Installation) -> Sending | None:
    if where.sends is None or where.said_at is None:
        return None
    return Sending(channels=sorted(where.sends), at=where.said_at.astimezone(UTC))


def _status(
    in_force: InForce,
    bundle: Bundle,
    failing: Sequence[Failing],
    findings: Sequence[PolicyError],
    where: Installation,
) -> PolicyStatus:
    return PolicyStatus(
        hash=in_force.hash,
        revision=in_force.revision,
        at=in_force.at,
        source=in_force.source,
        by=in_force.by,
        not_in_force=list(not_in_force(bundle)),
        failing=[
            FailingExpression(
                policy=each.policy,
                place=each.place,
                reason=each.reason,
                count=each.count,
                since=each.since.astimezone(UTC),
                last_at=each.last_at.astimezone(UTC),
            )
            for each in failing
        ],
        warnings=[each.sentence for each in findings],
        findings=_shown(findings),
        sends=_sends(where),
    )
