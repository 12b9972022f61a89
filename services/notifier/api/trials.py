"""`/v1/users/{name}/test-page`: how somebody is paged, tried out. A signed link in the message ends it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse

from services.notifier.api.access import holder_with
from services.notifier.api.models import PageTrial, PageTrialEnded, PageTrialStep
from services.notifier.api.routes import REFUSALS
from services.notifier.channels import Readiness
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.personal_rules import Loudness
from services.notifier.domain.trials import deliveries_of, waits_until
from services.notifier.sending.links import END_TEST
from services.notifier.storage import trials
from shared import html, telemetry
from shared.auth.access import Holder, KeyFirst
from shared.auth.failed_attempts import WrongKey, answer_to
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.http.problems import MEDIA_TYPE, Problem
from shared.policy import Bundle
from shared.security.keys import Signer

ME: Final = "me"
log = telemetry.logger(__name__)
_HEADERS: Final = html.page_headers(forms=True)
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "there is no such user", "content": {MEDIA_TYPE: {}}},
    409: {"description": "this user has no contact", "content": {MEDIA_TYPE: {}}},
    429: {"description": "one a minute for each user", "content": {MEDIA_TYPE: {}}},
}
_NOT_THERE: Final[dict[int | str, dict[str, Any]]] = {404: _REFUSED[404]}
_PAGES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A page for a person."},
    404: {"description": "A page: the link is broken or has expired.", "content": {"text/html": {}}},
    422: {"description": "A page: this cannot be a link.", "content": {"text/html": {}}},
    429: {"description": "A page: too many broken links from this address.", "content": {"text/html": {}}},
    503: {"description": "A page: not possible at the moment.", "content": {"text/html": {}}},
}
Name = Annotated[str, Path(max_length=200, description="of a user; `me`: whom the key acts as")]


@dataclass(frozen=True, slots=True)
class Trials:
    """Begins and ends tests. `wake` is called when something is due."""

    database: Database
    bundle: Callable[[], Bundle | None]
    readiness: Mapping[str, Readiness]
    signer: Signer
    wake: Callable[[], None]

    async def begin(self, asked: str, holder: Holder, loudness: Loudness, *, hurry: bool) -> PageTrial:
        policy, now = self._policy(), self.database.now()
        user, identity = allowed(asked, holder, policy), str(uuid4())
        by = f"user:{holder.user}" if holder.user else f"api:{holder.key}"
        made = deliveries_of(identity, user, loudness, by, hurry=hurry, bundle=policy, now=now)
        if not made:
            why = f"add one to users.{user}.contacts, such as {{mail: {{email: …}}}}"
            raise Problem(409, "no-contact", f"{user} has no contact", why)
        async with self.database.transaction() as connection:
            later = await trials.begin(connection, made, user, now)
        if later is not None:
            wait = max(1, round((later - now).total_seconds()))
            why = f"the next test of {user} may begin in {wait} s"
            raise Problem(
                429, "too-many-tests", "One test page a minute", why, headers={"Retry-After": str(wait)}
            )
        self.wake()
        return PageTrial(
            id=identity,
            user=user,
            loudness=loudness,
            steps=[self._step(each) for each in made],
            note=_note(loudness, waits_until(user, policy, now)),
        )

    async def end(self, asked: str, holder: Holder) -> PageTrialEnded:
        user = allowed(asked, holder, self._policy())
        async with self.database.transaction() as connection:
            return PageTrialEnded(user=user, called_off=await trials.end(connection, user))

    async def end_by(self, user: str, incident_id: str) -> None:
        async with self.database.transaction() as connection:
            await trials.end(connection, user, incident_id)

    def _policy(self) -> Bundle:
        policy = self.bundle()
        assert policy is not None  # the key was found in it
        return policy

    def _step(self, step: Delivery) -> PageTrialStep:
        ready = self.readiness.get(step.channel)
        sent = ready is not None and (
            ready.sends == "all" or (ready.sends == "urls" and "://" in step.address)
        )
        why = "" if sent else ready.missing if ready is not None else "this release has no such channel"
        return PageTrialStep(
            delivery_id=step.id,
            contact=step.contact,
            channel=step.channel,
            at=step.next_attempt_at,
            delayed_by=step.delayed_by,
            cannot_be_sent=why,
        )


def _note(loudness: Loudness, quiet: str) -> str:
    if loudness == "high" or not quiet:
        return ""
    return f"A page like this that reaches you through no schedule would wait now: {quiet}."


def allowed(asked: str, holder: Holder, bundle: Bundle) -> str:
    """The user who is meant. Raises a 403 for somebody else, unless the key is a lead's or an admin's."""
    user = holder.user if asked == ME and ME not in bundle.users else asked
    if not user:
        raise Problem(404, "not-found", "This key acts as no user", "name the user who is to be paged")
    if user != holder.user and not holder.may("lead"):
        why = "it pages only the user whom it acts as; others need the role lead"
        raise Problem(403, "forbidden", "This key may not do that", why)
    if user not in bundle.users:
        raise Problem(404, "not-found", "There is no such user in the policy in force")
    return user


def trial_routes(
    database: Database,
    bundle: Callable[[], Bundle | None],
    readiness: Sequence[Readiness],
    signer: Signer,
    wake: Callable[[], None],
) -> APIRouter:
    """The paths."""
    router = APIRouter()
    tests = Trials(database, bundle, {one.channel: one for one in readiness}, signer, wake)
    _add_asking(router, tests, Depends(holder_with("viewer", bundle)))
    _add_link(router, tests)
    return router


def _add_asking(router: APIRouter, tests: Trials, holder_of: Any) -> None:
    asking = APIRouter(responses=REFUSALS, route_class=KeyFirst)

    @asking.post(
        "/v1/users/{name}/test-page",
        tags=["deliveries"],
        operation_id="begin_test_page",
        summary="Page somebody by way of trial, by all of their rules",
        description="One's own for a key that acts as this user, others' from the role lead on.",
        responses=_REFUSED,
    )
    async def begin(
        name: Name,
        holder: Annotated[Holder, holder_of],
        loudness: Annotated[
            Loudness, Query(description="whose rules: for loud pages, or for others")
        ] = "high",
        *,
        hurry: Annotated[
            bool, Query(description="ten seconds between steps, whatever the rules say")
        ] = False,
    ) -> PageTrial:
        return await tests.begin(name, holder, loudness, hurry=hurry)

    @asking.delete(
        "/v1/users/{name}/test-page",
        tags=["deliveries"],
        operation_id="end_test_page",
        summary="End the tests of somebody: what has not come yet is called off",
        responses=_NOT_THERE,
    )
    async def end(name: Name, holder: Annotated[Holder, holder_of]) -> PageTrialEnded:
        return await tests.end(name, holder)

    router.include_router(asking)


def _add_link(router: APIRouter, tests: Trials) -> None:
    path = "/v1/users/{name}/test-page/{token}"

    @router.get(
        path,
        tags=["replies"],
        operation_id="show_test_page",
        summary="The link in a test page: what it would do",
        response_class=HTMLResponse,
        responses=_PAGES,
    )
    async def show(request: Request, name: str, token: str) -> HTMLResponse:
        if _tested(tests, name, token) is None:
            return _broken(request)
        return _page(
            "It arrived", "This was a test page. End it, so that its later steps do not come.", end=True
        )

    @router.post(
        path,
        tags=["replies"],
        operation_id="end_test_page_by_link",
        summary="End the test that this link belongs to",
        response_class=HTMLResponse,
        responses=_PAGES,
    )
    async def act(request: Request, name: str, token: str) -> HTMLResponse:
        tested = _tested(tests, name, token)
        if tested is None:
            return _broken(request)
        try:
            await tests.end_by(name, tested)
        except Exception as err:
            if kind_of(err) not in {Kind.AWAY, Kind.MISMATCH}:
                raise
            log.debug("database away", action="test_not_ended", error=repr(err))  # loops report it
            why = "Nothing was changed. Try again in a few seconds."
            return _page("Not possible at the moment", why, 503)
        return _page("Ended", "Nothing more comes of this test.")


def _tested(tests: Trials, user: str, token: str) -> str | None:
    """The test that the link ends; None for one that is broken or has expired."""
    claims = tests.signer.verify(END_TEST, token, tests.database.now())
    return str(claims["incident"]) if claims is not None and claims.get("user") == user else None


def _broken(request: Request) -> HTMLResponse:
    wrong = WrongKey(404, "broken-link", "Not a valid link", sort="link")
    problem = answer_to(request.scope, wrong)
    page = _page(problem.title, problem.detail or "This link is broken or has expired.", problem.status)
    page.headers.update(problem.headers)
    return page


def _page(title: str, said: str, status: int = 200, *, end: bool = False) -> HTMLResponse:
    made = html.rendered("services.notifier.api/trial.html", title=title, text=said, end=end)
    return HTMLResponse(made, status, headers=dict(_HEADERS))
