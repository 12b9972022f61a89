"""The mail channel against an SMTP server on a socket."""

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from aiosmtpd.controller import Controller
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.notifier.channels import Delivered, MailServer, Rejected, Unavailable
from services.notifier.channels.email import EmailChannel, written
from services.notifier.channels.mail_headers import mailbox, phrase
from services.notifier.domain.messages.rendered import one_line
from shared.events import AN_ADDRESS, UNSUBSCRIBE, Contact, Recipient
from shared.policy.model.addresses import MailAddress, place
from tests.channels.envelopes import SIGNER, envelope
from tests.services.notifier.building import T0, address, notice, page, user


@dataclass
class Postbox:
    """Keeps mails; `refuse` is what it answers to RCPT TO instead of 250."""

    mails: list = field(default_factory=list)
    raw: list = field(default_factory=list)
    refuse: str = ""
    port: int = 0

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - the server's interface
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - the server's interface
        self.raw.append(envelope.content)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


class OnAFreePort(Controller):
    def _trigger_server(self):  # the port is known once the socket is bound
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    box = Postbox()
    controller = OnAFreePort(box, hostname="127.0.0.1", port=0)
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


def channel(postbox, reply_to="") -> EmailChannel:
    url = f"smtp://127.0.0.1:{postbox.port}?starttls=no"
    return EmailChannel(MailServer.at(url, "Ladder <ladder@ops.example>", reply_to))


async def test_a_page_arrives_as_plain_text_and_html(postbox):
    assert await channel(postbox).send(
        envelope("ana@example.com", title="Checkout <b> is down")
    ) == Delivered(confirmed=False)
    (mail,) = postbox.mails
    assert mail["To"] == "ana@example.com"
    assert mail["From"] == "Ladder <ladder@ops.example>"
    assert mail["Subject"] == "Checkout <b> is down"
    assert mail["X-Ladder-Priority"] == "1"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in mail
    plain, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    assert plain.splitlines()[:3] == ["[P1] Checkout <b> is down", "", "You are asked to take this."]
    assert "Why you: Ana is on call" in plain
    assert "/v1/replies/link/" in plain
    assert "Checkout &lt;b&gt; is down" in html
    assert "/v1/replies/link/" in html


async def test_the_mails_of_an_incident_are_one_thread_and_a_repeat_is_the_same_mail(postbox):
    mail = channel(postbox)
    first = envelope("ana@example.com")
    await mail.send(first)
    await mail.send(first)
    await mail.send(envelope("ana@example.com", told=notice("update")))
    one, again, other = postbox.mails
    assert one["Message-ID"] == again["Message-ID"] == f"<{first.delivery.id}@ops.example>"
    assert other["Message-ID"] != one["Message-ID"]
    assert one["References"] == other["References"] == "<incident-inc-1@ops.example>"
    assert one["In-Reply-To"] == other["In-Reply-To"]


async def test_a_stakeholder_sees_no_acknowledge_link_and_no_promise_that_nobody_keeps(postbox):
    told = notice("resolved", address("board@example.com", "email"), stakeholder=True)
    await channel(postbox).send(envelope("board@example.com", told=told))
    (mail,) = postbox.mails
    assert "List-Unsubscribe" not in mail
    links = re.findall(r"/v1/replies/link/(\S+)", mail.get_body(("plain",)).get_content())
    claims = SIGNER.verify("reply", links[0], T0)
    assert (len(links), claims["action"], claims["outside"]) == (1, "show", True)


async def test_a_stakeholder_writes_to_whoever_reads_answers_to_get_no_more_mail(postbox):
    told = notice("resolved", address("board@example.com", "email"), stakeholder=True)
    await channel(postbox, "Desk <desk@ops.example>").send(envelope("board@example.com", told=told))
    (mail,) = postbox.mails
    assert mail["Reply-To"] == "Desk <desk@ops.example>"
    assert mail["List-Unsubscribe"] == "<mailto:desk@ops.example?subject=unsubscribe>"


@pytest.mark.parametrize("template", ["", "own"])
async def test_whoever_subscribed_leaves_by_a_link_in_the_mail_and_by_their_programs_button(
    postbox, template
):
    told = notice(
        "resolved",
        address("board@example.com", "email"),
        stakeholder=True,
        template=template,
        subscription=AN_ADDRESS,
    )
    await channel(postbox, "Desk <desk@ops.example>").send(envelope("board@example.com", told=told))
    (mail,) = postbox.mails
    link, written_to = re.findall(r"<([^>]+)>", mail["List-Unsubscribe"])
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert written_to == "mailto:desk@ops.example?subject=unsubscribe"
    for form in ("plain", "html"):
        assert link in mail.get_body((form,)).get_content().replace("&amp;", "&")
    said = SIGNER.verify(UNSUBSCRIBE, link.removeprefix("https://ladder.test/v1/replies/unsubscribe/"), T0)
    assert (said["subscription"], said["kind"], said["name"]) == ("address", "address", "")
    assert said["place"] == place("email", "Board <BOARD@example.com>")
    assert max(map(len, postbox.raw[0].split(b"\r\n"))) < 998  # RFC 5322, §2.1.1


async def test_a_customer_who_is_asked_reads_no_priority_in_the_headers(postbox):
    there = Contact(name="mail", channel="email", address="ops@acme.example")
    asked = page(Recipient(kind="customer", name="acme", contacts=(there,)))
    await channel(postbox).send(envelope("ops@acme.example", asked=asked))
    (mail,) = postbox.mails
    assert mail["X-Ladder-Event"] == "page"
    assert "X-Ladder-Priority" not in mail


@pytest.mark.parametrize("asked", [page(), page(address("vendor@example.com", "email"))])
async def test_a_page_cannot_be_unsubscribed(postbox, asked):
    await channel(postbox, "Desk <desk@ops.example>").send(envelope("ana@example.com", asked=asked))
    (mail,) = postbox.mails
    assert "List-Unsubscribe" not in mail
    assert "unsubscribe" not in mail.as_string()


async def test_without_https_a_mail_program_is_offered_no_single_step(postbox):
    told = notice("resolved", user("ana"), subscription="team:management")
    sent = replace(envelope("ana@example.com", told=told), unsubscribe="http://ladder.inside/v1/x")
    await channel(postbox).send(sent)
    (mail,) = postbox.mails
    assert mail["List-Unsubscribe"] == "<http://ladder.inside/v1/x>"
    assert "List-Unsubscribe-Post" not in mail


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("550 no such user", Rejected("SMTP 550 no such user")),
        ("450 try later", Unavailable("SMTP 450 try later", provider_works=True)),
    ],
)
async def test_what_the_server_says_means(postbox, said, result):
    postbox.refuse = said
    assert await channel(postbox).send(envelope("ana@example.com")) == result


async def test_a_server_that_is_down_is_unavailable(postbox):
    closed = EmailChannel(MailServer.at("smtp://127.0.0.1:1?starttls=no", "ladder@ops.example"))
    assert isinstance(await closed.send(envelope("ana@example.com")), Unavailable)


async def test_a_server_whose_name_nobody_knows_is_unavailable_and_named():
    """Mails wait, as for one that refuses: the name may come back."""
    unknown = EmailChannel(MailServer.at("smtp://mail.invalid:25?starttls=no", "ladder@ops.example"))
    result = await unknown.send(envelope("ana@example.com"))
    assert isinstance(result, Unavailable)
    assert "mail.invalid" in result.reason


async def test_without_a_server_every_mail_is_rejected_with_the_reason():
    assert await EmailChannel(None).send(envelope("ana@example.com")) == Rejected(
        "LADDER_SMTP_URL is not set"
    )


@pytest.mark.parametrize(
    "to",
    [
        "ana@example.com\r\nBcc: all@example.com",
        "a\0@example.com",
        "ana@example.com\n",
        "nobody",
        "",
        "a b@c d",
    ],
)
async def test_an_address_that_no_header_can_hold_is_rejected(postbox, to):
    assert isinstance(await channel(postbox).send(envelope(to)), Rejected)
    assert postbox.mails == []


async def test_line_breaks_in_a_title_make_no_header(postbox):
    await channel(postbox).send(envelope("ana@example.com", title="Down\r\nBcc: all@example.com"))
    (mail,) = postbox.mails
    assert mail["Subject"] == "Down Bcc: all@example.com"
    assert mail["Bcc"] is None


async def test_a_title_in_any_script_arrives(postbox):
    await channel(postbox).send(envelope("ana@example.com", title="Platba nefunguje – 支払い 🔥"))
    assert postbox.mails[0]["Subject"] == "Platba nefunguje – 支払い 🔥"


HIDDEN = "=?utf-8?q?Down=0D=0ABcc:_all=40example.com=0D=0A=0D=0Abody?="
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Ladder-Event", "X-Ladder-Priority", "MIME-Version", "Content-Type",
]  # fmt: skip


def headers_of(raw: bytes) -> list[str]:
    """Their names in the bytes themselves, whatever a parser would make of them."""
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    return [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]


def subject_of(raw: bytes) -> str:
    """As a mail program shows it."""
    return str(make_header(decode_header(email.message_from_bytes(raw)["Subject"])))


async def test_a_title_writes_no_header_however_it_hides_its_line_breaks(postbox):
    """What looks like an encoded word in a title is shown as it was written, and is decoded by nobody."""
    await channel(postbox).send(envelope("ana@example.com", title=HIDDEN))
    (raw,) = postbox.raw
    assert headers_of(raw) == HEADERS
    assert b"Bcc" not in raw.partition(b"\r\n\r\n")[0]
    assert subject_of(raw) == HIDDEN


@pytest.mark.parametrize(
    "to",
    [
        f"{HIDDEN} <ana@example.com>",
        'Ana "the\\" Novak, (desk): <ana@example.com>',
        "Ána Nováková <ana@example.com>",
        "ana@příklad.example",
    ],
)
async def test_a_name_beside_an_address_writes_no_header_either(postbox, to):
    assert await channel(postbox, to).send(envelope(to)) == Delivered(confirmed=False)
    (raw,) = postbox.raw
    assert headers_of(raw) == [*HEADERS[:10], "Reply-To", *HEADERS[10:]]
    assert re.search(rb"\r\nTo: (?:.*\r\n )*.*\bana@(example\.com|xn--pklad-zsa96e\.example)", raw)


hostile = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            ["\r\n", "\n", "\0", " ", "=?", "?=", "=?utf-8?q?", "=0D=0A", "=?utf-8?b?DQpCY2M6?="]
        ),
        st.sampled_from([HIDDEN, "Bcc: x@y", "\u2028", "\x85", "\ud800", "🔥" * 40, "x" * 90]),
    ),
    max_size=8,
).map("".join)


@given(title=hostile, name=hostile)
def test_whatever_a_title_holds_the_mail_has_the_headers_that_we_set_and_the_subject_reads_back(title, name):
    """Read back by the standard library and by our own eyes, on any release of Python."""
    letter = envelope("ana@example.com", title=title)
    sender = f"{''.join(filter(str.isprintable, name))} <ladder@ops.example>"
    raw = written(letter, sender).content
    assert headers_of(raw) == HEADERS
    assert email.message_from_bytes(raw).keys() == HEADERS
    assert subject_of(raw) == (one_line(title) or "(without a title)")
    assert all(len(line) < 200 for line in raw.split(b"\r\n"))


BLANKS = [
    ("disk  full   on db-1", "disk  full   on db-1"),
    ("  disk full  ", "disk full"),
    ("disk\r\n   full\ton\n\n db-1", "disk full on db-1"),
    ("disk  full – žluť", "disk  full – žluť"),
]


@pytest.mark.parametrize(("title", "shown"), BLANKS)
def test_blanks_in_a_subject_stay_as_they_are_and_a_line_break_is_one(title, shown):
    assert one_line(title) == shown
    assert (
        subject_of(written(envelope("ana@example.com", title=title), "ladder@ops.example").content) == shown
    )


WORDS = st.one_of(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyzABC0123456789.,:;-_()[]<>@\"'\\?=/", min_size=1, max_size=12),
    st.text(alphabet="žluťoučkýкраснаяταληψη支払いデータ한국어नमस्तेهذا", min_size=1, max_size=12),
    st.text(
        alphabet="ae\N{COMBINING ACUTE ACCENT}\N{COMBINING CARON}n\N{COMBINING TILDE}", min_size=1, max_size=9
    ),
    st.sampled_from(["🔥", "👩‍👩‍👧", "🏳️‍🌈", "می‌خواهم", "क्‍ष", "x" * 90, "ž" * 70, "🔥" * 30, "=?", "?="]),
    st.sampled_from(["=?utf-8?q?Down?=", "=?utf-8?b?RG93bg==?=", "[P1]", "Re:", "50%", "a=20b", "&amp;"]),
)
SUBJECTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


def shown_by(mail_program: str, raw: bytes) -> str:
    if mail_program == "modern":
        return str(email.message_from_bytes(raw, policy=email.policy.default)["Subject"])
    return subject_of(raw)


@settings(max_examples=300)
@given(subject=SUBJECTS)
@example(
    subject="Server db-prod-01 nelze připojit after 5 minutes, čekáme na odpověď from vendor 支払い 3 of 7"
)
@example(
    subject="disk 👩🔥🔥👩🔥🔥👩🔥🔥 払支払い払い of db-prod 👩👩 ятнсняаан full"
)  # EmailMessage loses a blank of it
@example(subject="می‌خواهم 👩‍👩‍👧 =?utf-8?q?Down?= down")
def test_a_subject_of_any_letters_reads_back_blank_by_blank(subject):
    """By the standard library's new parser and by its old one, with joiners and what looks encoded."""
    raw = b"Subject: " + phrase(subject).encode("ascii") + b"\r\n\r\n"
    assert shown_by("modern", raw) == subject
    assert shown_by("classic", raw) == subject
    assert all(len(line) <= 76 for line in raw.split(b"\r\n"))


def test_a_name_of_any_letters_beside_a_long_address_keeps_its_lines_short():
    address = MailAddress("Jiří Žluťoučký z oddělení plateb a fakturace", "j" * 60, "platby.example.com")
    raw = b"Reply-To: " + mailbox(address).encode() + b"\r\n\r\n"
    name, spec = parseaddr(str(email.message_from_bytes(raw)["Reply-To"]))
    assert (str(make_header(decode_header(name))), spec) == (address.name, address.spec)
    assert max(len(line) for line in raw.split(b"\r\n") if b"=?" in line) <= 76


async def test_gmail_shows_one_incident_as_one_conversation(postbox):
    """Its title and priority change meanwhile; each mail begins with what is new."""
    mail = channel(postbox)
    first = {"title": "Disk of db-1 at 80%", "priority": 3}
    later = {"title": "Disk of db-1 at 99%", "opened_as": "Disk of db-1 at 80%", "priority": 1}
    outside = notice("resolved", address("board@example.com", "email"), stakeholder=True)
    for told, said in (
        (None, first),
        (None, later),
        (notice("update", text="We delete logs."), later),
        (notice("resolved"), later | {"status": "resolved"}),
        (outside, later | {"status": "resolved"}),
    ):
        await mail.send(envelope("ana@example.com", told=told, **said))
    assert {each["References"] for each in postbox.mails} == {"<incident-inc-1@ops.example>"}
    assert [each["Subject"] for each in postbox.mails] == [
        "Disk of db-1 at 80%",
        "Disk of db-1 at 80%",
        *["Re: Disk of db-1 at 80%"] * 3,  # the one thing before a subject that Gmail ignores
    ]
    begins = [each.get_body(("plain",)).get_content().splitlines()[0] for each in postbox.mails]
    assert begins == [
        "[P3] Disk of db-1 at 80%",
        "[P1] Disk of db-1 at 99%",
        "Update: [P1] Disk of db-1 at 99%",
        "Resolved: [P1] Disk of db-1 at 99%",
        "Resolved: Disk of db-1 at 99%",
    ]
    hidden = [
        re.findall(r'overflow: hidden">([^<]*)<', each.get_body(("html",)).get_content())
        for each in postbox.mails
    ]
    assert hidden[2:] == [  # what a list of mails shows beside the subject, which is the same
        ["Update: We delete logs."],
        ["Resolved: It is resolved."],
        ["Resolved: The problem is resolved."],
    ]


@pytest.mark.parametrize(
    ("url", "port", "tls", "starttls"),
    [
        ("smtp://mail.example", 25, False, None),
        ("smtp://u:p%40ss@mail.example", 587, False, None),
        ("smtp://mail.example:2525?starttls=yes", 2525, False, True),
        ("smtps://u:p@mail.example", 465, True, False),
    ],
)
def test_the_server_is_named_by_a_url(url, port, tls, starttls):
    server = MailServer.at(url, "x@y.example")
    assert (server.port, server.tls, server.starttls) == (port, tls, starttls)
    assert server.password in {None, "p@ss", "p"}


@pytest.mark.parametrize(
    "url", ["http://mail.example", "mail.example:25", "smtp://", "smtp://m?starttls=maybe"]
)
def test_a_url_that_names_no_server_is_refused(url):
    with pytest.raises(ValueError, match=r"smtp|starttls"):
        MailServer.at(url, "x@y.example")
