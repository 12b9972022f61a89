"""On a phone, an incident is one notification: by ntfy, on a real PostgreSQL, over a real socket."""

from tests.services.notifier.building import bundle, changed, incident, page
from tests.services.notifier.inside import office
from tests.waiting import until


async def _sent(place, page_id):
    return await place.rows("state = 'sent' AND page_id = :page_id", page_id=page_id)


def _saying(receiver, words):
    return next((each.content for each in receiver.to("/") if words in each.content["message"]), None)


async def test_a_newer_page_puts_the_one_before_away_and_says_itself_when_it_is_taken(database_url, receiver):
    receiver.answers["/"] = [200]
    policy = bundle({"ana": {"phone": {"ntfy": receiver.url("/ana-phone")}}})

    async with office(database_url, policy) as place:
        await place.hear(changed(page()))
        (first,) = await until(lambda: receiver.to("/"))
        await until(lambda: _sent(place, "page-1"))

        await place.hear(changed(page(page_id="page-2", again=True), version=2))
        clear = f"/ana-phone/{first.content['sequence_id']}/clear"
        await until(lambda: receiver.to(clear))
        second = receiver.to("/")[-1].content["sequence_id"]
        await until(lambda: _sent(place, "page-2"))

        taken = incident(status="acknowledged", assignee="ana", version=3)
        await place.hear(changed(incident=taken, changes=("taken",), settled="taken"))
        said = await until(lambda: _saying(receiver, "Ana has taken it."))

    assert said["sequence_id"] == second != first.content["sequence_id"]
    assert said["priority"] < first.content["priority"]
    assert [each["action"] for each in first.content["actions"]] == ["http", "http"]
    assert said["actions"] == []
