"""The pages for staff, over both sides' APIs and both databases."""

from __future__ import annotations

import html
import re
import uuid
from contextlib import contextmanager

import pytest
from loguru import logger

from eurydice_core.cli.link.record import read_reception
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.destination.receive import Receiver
from eurydice_core.destination.source import PacketSource, SourceState
from eurydice_core.errors import ObjectMissing
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, Side
from eurydice_core.protocol.packet import PacketBuilder

PASSWORD = "correct horse"
EVIL = "<script>alert('x')</script>.txt"
FILES = "/api/v1/transferables/"
NOBODYS = uuid.UUID(int=9)
ELSEWHERE = [
    "//evil.example",
    "https://evil.example",
    "/\\evil.example",
    "/a\r\nX: y",
    "javascript:x",
]


class Admin:
    """A browser at the pages of a bench."""

    def __init__(self, bench):
        self.bench = bench
        self.cookies = {}
        bench.token = ""

    def ask(self, method, path, **options):
        headers = options.pop("headers", {})
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.bench.client.cookies.clear()
        response = self.bench.request(
            method, path, headers={"Cookie": cookie, **headers}, **options
        )
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response

    def get(self, path):
        return self.ask("GET", f"/admin{path}")

    def token(self, path):
        text = self.get(path).text
        return re.search(r'name="csrf_token" value="([^"]*)"', text)[1]

    def post(self, path, page="/", **fields):
        if "csrf_token" not in fields:
            fields["csrf_token"] = self.token(page)
        return self.ask("POST", f"/admin{path}", data=fields)

    def sign_in(self, username, password=PASSWORD):
        return self.post("/sign-in", "/sign-in", username=username, password=password, next="/")


@pytest.fixture
def make_admin(make_bench):
    """Open a side with the pages, a staff member `root` signed in, and a user `alice`."""

    def make(side, page_size=50, **tables):
        web = {"plugins": ["admin"], "admin": {"page_size": page_size}}
        bench = make_bench(side, web=web, **tables)
        admin = Admin(bench)
        bench.user("root", password=PASSWORD, is_staff=True)
        bench.installation.accounts.set_password("alice", PASSWORD)
        assert admin.sign_in("root").headers["location"] == "/admin/signed-in?next=%2F"
        assert admin.get("/signed-in?next=/users").headers["location"] == "/admin/users"
        return admin

    return make


@pytest.fixture(params=list(Side))
def admin(request, make_admin):
    return make_admin(request.param)


@pytest.fixture
def origin(make_admin):
    return make_admin(Side.ORIGIN)


@pytest.fixture
def destination(make_admin):
    return make_admin(Side.DESTINATION)


def submit(admin, name=EVIL, content=b"x" * 1000):
    token = admin.bench.installation.accounts.issue_token("alice")
    headers = {
        "Content-Type": "application/octet-stream",
        "Metadata-Name": name,
        "Authorization": f"Token {token}",
    }
    response = admin.bench.post(FILES, content=content, headers=headers)
    assert response.status_code == 201
    return response.json()["id"]


def arrive(admin, name=EVIL, state=IncomingState.SUCCESS, profile=b"12345678"):
    now = utc_now()
    row = IncomingTransferable(
        id=uuid.uuid4(),
        profile=profile,
        created_at=now,
        received_at=now,
        finished_at=now if state.is_final else None,
        name=name,
        size=1,
        bytes_received=1,
        state=state,
        stored=True,
    )
    with admin.bench.storage.write(row.key) as writer:
        writer.write(b"x")
    with admin.bench.installation.database.write() as session:
        session.merge(OriginProfile(profile=profile, created_at=now))
        session.flush()
        session.add(row)
    return str(row.id)


@contextmanager
def logged():
    lines = []
    sink = logger.add(lambda message: lines.append(str(message)), level="INFO")
    yield lines
    logger.remove(sink)


# Who comes in


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/users",
        "/new-user",
        "/user/alice",
        "/transferables",
        f"/transferable/{uuid.UUID(int=1)}",
    ],
)
def test_strangers_are_sent_to_the_entrance_and_users_are_told(admin, path):
    admin.cookies = {}
    response = admin.get(path)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/admin/sign-in")
    assert admin.sign_in("alice").status_code == 303
    response = admin.get(path)
    assert response.status_code == 403
    assert "signed in as <strong>alice</strong>" in response.text
    assert "root" not in response.text


def test_strangers_and_users_change_nothing(origin):
    id = submit(origin)
    for sign_in in (False, True):
        origin.cookies = {}
        if sign_in:
            origin.sign_in("alice")
            token = origin.token("/")
            expected = 403
        else:
            token, expected = "x", 303
        for path, fields in [
            (f"/transferable/{id}/end", {}),
            ("/user/alice/values", {"is_active": "on", "is_staff": "on", "priority": "1"}),
            ("/new-user", {"username": "mallory", "priority": "0", "is_staff": "on"}),
            ("/maintenance", {"to": "on"}),
        ]:
            response = origin.post(path, csrf_token=token, **fields)
            assert response.status_code == expected, path
    accounts = origin.bench.installation.accounts
    assert not accounts.get("alice").is_staff
    assert accounts.find("mallory") is None


def test_a_wrong_password_lets_nobody_in(admin):
    admin.cookies = {}
    response = admin.sign_in("root", "wrong horse")
    assert response.status_code == 403
    assert "Wrong username or password" in response.text
    assert "eurydice_sessionid" not in admin.cookies


def test_wrong_passwords_are_counted(make_admin):
    admin = make_admin(Side.ORIGIN, api={"lockout_attempts": 2})
    admin.cookies = {}
    statuses = [admin.sign_in("root", "wrong horse").status_code for _ in range(4)]
    assert statuses[0] == 403
    assert statuses[-1] == 429


def test_the_entrance_has_a_token_too(admin):
    admin.cookies = {}
    admin.get("/sign-in")
    for token in ("", "x" * 32):
        fields = {"username": "root", "password": PASSWORD, "csrf_token": token}
        assert admin.ask("POST", "/admin/sign-in", data=fields).status_code == 403
    admin.cookies = {}
    assert admin.ask("POST", "/admin/sign-in", data=fields | {"csrf_token": ""}).status_code == 403


def test_a_browser_that_keeps_no_session_is_told(admin):
    admin.cookies = {}
    response = admin.get("/signed-in?next=/users")
    assert response.status_code == 403
    assert "did not keep the session" in response.text


@pytest.mark.parametrize("place", ELSEWHERE)
def test_nobody_is_sent_elsewhere(admin, place):
    response = admin.ask("GET", "/admin/signed-in", params={"next": place})
    assert response.headers["location"] == "/admin/"


def test_signing_out_ends_the_session(admin):
    session = admin.cookies["eurydice_sessionid"]
    assert admin.post("/sign-out", csrf_token="x").status_code == 403
    assert admin.get("/").status_code == 200
    assert admin.post("/sign-out").headers["location"] == "/admin/sign-in"
    admin.cookies["eurydice_sessionid"] = session
    assert admin.get("/").status_code == 303


def test_other_sites_pages_get_nowhere(admin):
    headers = {"Origin": "https://evil.example"}
    fields = {"csrf_token": admin.token("/users"), "username": "mallory", "priority": "0"}
    response = admin.ask("POST", "/admin/new-user", data=fields, headers=headers)
    assert response.status_code == 403
    assert admin.bench.installation.accounts.find("mallory") is None


def test_somebody_a_proxy_names_needs_no_session(make_admin, proxy_api):
    auth = {"plugins": ["auth_remoteuser", "auth_basic"]}
    admin = make_admin(Side.ORIGIN, auth=auth, api=proxy_api)
    admin.cookies = {}
    headers = {"X-Remote-User": "root"}
    assert admin.ask("GET", "/admin/", headers=headers).status_code == 200
    fields = {"to": "on"}
    assert admin.ask("POST", "/admin/maintenance", data=fields, headers=headers).status_code == 303
    headers["Sec-Fetch-Site"] = "cross-site"
    assert admin.ask("POST", "/admin/maintenance", data=fields, headers=headers).status_code == 403


def test_the_address_without_a_slash_leads_in(admin):
    response = admin.ask("GET", "/admin")
    assert (response.status_code, response.headers["location"]) == (307, "/admin/")


def test_pages_are_locked_down(admin):
    response = admin.get("/")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self'")
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["cache-control"] == "no-store"
    assert "<script" not in response.text
    assert "style=" not in response.text
    assert admin.get("/style.css").headers["content-type"].startswith("text/css")


# Overview


def test_the_overview_tells_how_the_side_does(admin):
    text = admin.get("/").text
    assert "Last packet" in text
    assert "Storage" in text
    assert ("Maintenance" in text) is (admin.bench.installation.settings.side is Side.ORIGIN)


def test_maintenance_is_switched(origin):
    for to, said in (("on", "Maintenance is <strong>on"), ("off", "Maintenance is off")):
        assert origin.post("/maintenance", to=to).status_code == 303
        assert said in origin.get("/").text


def test_the_destination_has_no_sender_to_hold_back(destination):
    response = destination.post("/maintenance", to="on")
    assert response.status_code == 409
    assert "Only the origin side can do that" in response.text


# Accounts


def test_accounts_are_found_page_by_page(make_admin):
    admin = make_admin(Side.ORIGIN)
    for number in range(60):
        admin.bench.user(f"user{number:02}")
    text = admin.get("/users").text
    assert text.count('<th scope="row"') == 50
    more = html.unescape(re.search(r'href="/admin(/users\?[^"]*)" rel="next"', text)[1])
    assert "user59" in admin.get(more).text
    text = admin.get("/users?text=USER1").text
    assert text.count('<th scope="row"') == 10
    assert "No such accounts" in admin.get("/users?text=%25").text


def test_an_account_is_made_and_changed(admin):
    response = admin.post(
        "/new-user", username="bob", password="long enough", priority="2", is_staff="on"
    )
    assert response.headers["location"] == "/admin/user/bob?done=added"
    accounts = admin.bench.installation.accounts
    assert accounts.check_password("bob", "long enough")
    assert accounts.get("bob").is_staff
    response = admin.post(
        "/user/bob/values",
        is_active="on",
        sees_metrics="on",
        priority="7",
        quota_size="10MB",
        quota_files="unlimited",
    )
    assert response.status_code == 303
    bob = accounts.get("bob")
    assert (bob.is_staff, bob.sees_metrics, bob.priority) == (False, True, 7)
    assert (bob.quota_size, bob.quota_files) == (10_000_000, -1)
    text = admin.get("/user/bob?done=values").text
    assert "Changes saved." in text
    assert 'value="10000000"' in text
    admin.post("/user/bob/password", password="another one", again="another one")
    assert accounts.check_password("bob", "another one")
    assert admin.post("/user/bob/password", password="another one", again="x").status_code == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"username": "alice", "priority": "0"}, 409),
        ({"username": "<b>", "priority": "0"}, 400),
        ({"username": "bob", "priority": "-1"}, 400),
        ({"username": "bob", "priority": "9999999999"}, 400),
        ({"username": "bob", "priority": "\u0663"}, 400),
        ({"username": "bob", "priority": ""}, 400),
    ],
)
def test_accounts_that_cannot_be_are_refused(admin, fields, status):
    response = admin.post("/new-user", **fields)
    assert response.status_code == status
    assert "<b>" not in response.text
    assert admin.bench.installation.accounts.find("bob") is None


def test_quotas_that_cannot_be_are_refused(origin):
    for quota in ("-5", "much", "9" * 25, "99999999999TB"):
        fields = {"is_active": "on", "priority": "0", "quota_size": quota}
        assert origin.post("/user/alice/values", **fields).status_code == 400


def test_nobody_locks_themselves_out(admin):
    for fields in ({"is_active": "on"}, {"is_staff": "on"}):
        response = admin.post("/user/root/values", priority="0", **fields)
        assert response.status_code == 409
        assert "another member of staff" in response.text
    assert admin.get("/").status_code == 200


def test_who_is_switched_off_is_out_at_once(admin):
    admin.bench.installation.accounts.change("alice", is_staff=True)
    alice = Admin(admin.bench)
    alice.sign_in("alice")
    assert alice.get("/").status_code == 200
    admin.post("/user/alice/values", priority="0")
    assert alice.get("/").status_code == 303


def test_tokens_are_made_listed_and_revoked(admin):
    response = admin.post("/user/alice/issue-token", label="<i>night</i>", days="3")
    token = re.search(r'class="secret">([0-9a-f]{64})<', response.text)[1]
    assert response.headers["cache-control"] == "no-store"
    me = {"headers": {"Authorization": f"Token {token}"}}
    assert admin.bench.get("/api/v1/user/me/", **me).status_code == 200
    text = admin.get("/user/alice").text
    assert "&lt;i&gt;night&lt;/i&gt;" in text
    assert token not in text
    id = admin.bench.installation.accounts.tokens("alice")[-1].id
    assert admin.post("/user/alice/revoke-token", id=str(id)).status_code == 400
    assert admin.post("/user/root/revoke-token", id=str(id), sure="on").status_code == 404
    assert admin.post("/user/alice/revoke-token", id=str(id), sure="on").status_code == 303
    assert admin.bench.get("/api/v1/user/me/", **me).status_code == 401


def test_an_account_is_unlinked(destination):
    accounts = destination.bench.installation.accounts
    arrive(destination)
    assert "not linked" in destination.get("/user/alice").text
    with destination.bench.installation.database.write() as session:
        session.get_one(OriginProfile, b"12345678").user_id = accounts.get("alice").id
    assert destination.post("/user/alice/unlink").status_code == 400
    assert destination.post("/user/alice/unlink", sure="on").status_code == 303
    assert destination.post("/user/alice/unlink", sure="on").status_code == 404


def test_nobody_of_that_name_is_not_found(admin):
    assert admin.get("/user/nobody").status_code == 404
    assert admin.get("/user/<b>").status_code == 404
    assert admin.post("/user/nobody/values", priority="0", is_active="on").status_code == 404
    assert admin.post("/user/alice/eat").status_code == 404


def test_what_is_done_is_logged_with_who_did_it_and_without_secrets(admin):
    with logged() as lines:
        admin.post("/user/alice/password", password="new secret 1", again="new secret 1")
        admin.post("/user/alice/issue-token")
    assert any("root did SetPassword(username='alice')" in line for line in lines)
    assert not any("new secret" in line or re.search("[0-9a-f]{64}", line) for line in lines)


# Transferables


def test_names_of_files_are_shown_and_never_obeyed(origin):
    id = submit(origin)
    escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;.txt"
    for path in ("/transferables", f"/transferable/{id}", f"/transferable/{id}/end"):
        text = origin.get(path).text
        assert escaped in text
        assert EVIL not in text


def test_files_are_found(origin):
    wanted, other = submit(origin, "wanted.txt"), submit(origin, "other.bin")
    today = utc_now().date().isoformat()
    for query, found in [
        ("", {wanted, other}),
        ("text=WANT", {wanted}),
        (f"text={other}", {other}),
        ("username=alice", {wanted, other}),
        ("username=root", set()),
        ("state=PENDING", {wanted, other}),
        ("state=SUCCESS", set()),
        (f"created_after={today}&created_before={today}", {wanted, other}),
        ("created_before=2020-01-01", set()),
    ]:
        text = origin.get(f"/transferables?{query}").text
        assert set(re.findall(r'/transferable/([0-9a-f-]{36})"', text)) == found, query
    assert origin.get("/transferables?username=nobody").status_code == 404
    assert origin.get("/transferables?created_after=x").status_code == 400
    assert origin.get("/transferables?state=ODD").status_code == 400


def test_lists_go_on(make_admin):
    admin = make_admin(Side.ORIGIN, page_size=2)
    ids = [submit(admin, f"{number}.txt") for number in range(3)]
    text = admin.get("/transferables?text=txt").text
    assert ids[0] not in text
    older = html.unescape(re.search(r'href="/admin([^"]*)" rel="next"', text)[1])
    text = admin.get(older).text
    assert ids[0] in text
    assert ids[1] not in text
    assert "Newest" in text


def test_a_file_is_revoked_and_everybody_is_told_by_whom(origin):
    id = submit(origin, "a.txt")
    text = origin.get(f"/transferable/{id}").text
    assert f"/admin/transferable/{id}/end" in text
    assert "PENDING" in text
    assert origin.ask("POST", f"/admin/transferable/{id}/end", data={}).status_code == 400
    assert origin.post(f"/transferable/{id}/end", csrf_token="x").status_code == 403
    assert "PENDING" in origin.get(f"/transferable/{id}").text
    assert origin.post(f"/transferable/{id}/end").status_code == 303
    assert "CANCELED" in origin.get(f"/transferable/{id}").text
    assert origin.post(f"/transferable/{id}/end").status_code == 409
    assert "CANCELED already" in origin.get(f"/transferable/{id}/end").text
    told = origin.bench.events()[-1]
    assert (told.kind, told.username, told.facts["by"]) == ("deleted", "alice", "root")


@pytest.mark.parametrize(
    ("state", "after"),
    [(IncomingState.SUCCESS, IncomingState.EXPIRED), (IncomingState.ONGOING, IncomingState.ERROR)],
)
def test_a_file_that_came_is_ended(destination, state, after):
    id = arrive(destination, state=state)
    assert destination.post(f"/transferable/{id}/end").status_code == 303
    assert f'class="state {after}"' in destination.get(f"/transferable/{id}").text
    assert destination.post(f"/transferable/{id}/end").status_code == 409
    with pytest.raises(ObjectMissing):
        destination.bench.storage.size(f"files/{id}")


def test_a_file_that_is_not_there_is_not_found(admin):
    for path in (f"/transferable/{NOBODYS}", "/transferable/x", "/transferable/"):
        assert admin.get(path).status_code == 404
    assert admin.post(f"/transferable/{NOBODYS}/end").status_code == 404


class TroubledLink(PacketSource):
    """A link on which a rival sends and packets are lost, with one genuine packet waiting."""

    def __init__(self, packet):
        self._packets = [packet]

    def receive(self, timeout_seconds):
        return self._packets.pop() if self._packets else None

    def acknowledge(self):
        pass

    def put_back(self):
        return False

    def state(self):
        return SourceState()

    def counters(self):
        return {"rival_datagrams": 17, "lost_packets": 3}


def test_link_findings_of_the_receiver_are_shown(make_admin):
    admin = make_admin(Side.DESTINATION)
    installation = admin.bench.installation
    packet = PacketBuilder(stream=uuid.uuid4(), sequence=0, sent_at_ms=0)
    link = TroubledLink(bytes(packet.sealed(installation.seal_key)))
    Receiver(installation, link).step()
    page = html.unescape(admin.get("/").text)
    assert "two senders use this link at once, 17 datagrams" in page
    assert "3 packets lost more than could be repaired" in page
    metrics = admin.bench.get("/metrics").text
    assert "eurydice_transport_rival_datagrams_total 17.0" in metrics
    assert "eurydice_transport_lost_packets_total 3.0" in metrics
    reception = read_reception(installation.settings)
    assert reception.record.transport == link.counters()
