"""`ladder report` against an API that answers in the shapes of the design."""

from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

ITEM = {
    "tier": "gold", "target": "resolve", "promised": 4, "in_time": 2, "breached": 1, "running": 1,
    "compliance": 0.6667,
}  # fmt: skip


def test_a_report_is_a_table_with_shares_as_percent(server: HTTPServer, ladder: Terminal):
    server.expect_request(
        "/v1/reports/sla",
        query_string="from=2026-01-01&period=month&tz=UTC&by=tier&service=checkout",
    ).respond_with_json({"items": [ITEM]})
    printed = ladder("report", "sla", "--by", "tier", "--from", "2026-01-01", "--service", "checkout")
    assert printed.exit_code == 0
    heading, line = printed.out.splitlines()
    assert heading.split() == [
        "tier",
        "target",
        "promised",
        "in",
        "time",
        "breached",
        "running",
        "compliance",
    ]
    assert line.split() == ["gold", "resolve", "4", "2", "1", "1", "66.7%"]


def test_times_are_told_as_spans_and_nothing_as_a_dash(server: HTTPServer, ladder: Terminal):
    item = {"level": "desk", "held_mean": 3660.5, "held_p50": 45, "held_p90": None, "solved_share": None}
    server.expect_request("/v1/reports/levels").respond_with_json({"items": [item]})
    assert "desk   1h 1m      45s       –" in ladder("report", "levels").out


def test_csv_is_printed_as_it_was_sent(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/reports/response", headers={"accept": "text/csv"}).respond_with_data(
        "tier,incidents\r\ngold,3\r\n", content_type="text/csv"
    )
    assert "gold,3" in ladder("report", "response", "--csv", "--by", "tier").out


def test_a_refused_question_says_why(server: HTTPServer, ladder: Terminal):
    refusal = {"title": "The request is not valid", "errors": [{"field": "query:by", "reason": "no colour"}]}
    server.expect_request("/v1/reports/sla").respond_with_json(refusal, status=422)
    for way in ((), ("--csv",)):
        printed = ladder("report", "sla", "--by", "colour", *way)
        assert printed.exit_code == 1
        assert "no colour" in printed.err


def test_what_is_wider_than_the_terminal_is_turned_so_that_it_fits(server: HTTPServer, ladder: Terminal):
    columns = {f"a_long_measure_{number}": number for number in range(8)}
    items = [{"customer": f"customer-{number}" * 2, **columns} for number in range(9)]
    server.expect_request("/v1/reports/response").respond_with_json({"items": items})
    for width in (80, 60):
        lines = ladder("report", "response", COLUMNS=str(width)).out.splitlines()
        assert max(map(len, lines)) <= width
        assert "…" not in "".join(lines)
        shown = [name for line in lines if line.startswith("customer") for name in line.split()[1:]]
        assert shown == [item["customer"] for item in items]
        assert lines[1].split() == ["a", "long", "measure", "0", *(["0"] * (len(lines[0].split()) - 1))]
    assert len(ladder("report", "response").out.splitlines()) == 10  # in a pipe a table stays one


def test_an_empty_report_says_so(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/reports/sla").respond_with_json({"items": []})
    assert "Nothing was opened" in ladder("report", "sla").out
