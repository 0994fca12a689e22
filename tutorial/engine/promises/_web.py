"""Stages 14a to 15, 18, 20, 22 and 28: web pages."""

import ssl
from html import escape
from urllib.parse import quote

from ..harness import PromiseBroken, Running
from ..world import HOST
from ._registry import (
    GUEST_PRINTABLE,
    SECRET,
    expect,
    expect_in_log,
    expect_on_page,
    promise,
    promise_elsewhere,
)


def text(name: str) -> str:
    """A name as text of a page; quotes may stand for themselves there."""
    return escape(name, quote=False)


def quotes(body: str) -> str:
    """A page with its quotes unescaped, which does no harm outside of tags."""
    return body.replace("&quot;", '"').replace("&#x27;", "'")


@promise
def page_names_the_user(running: Running) -> None:
    """The page at /moshez has the user's name for a heading."""
    expect_on_page(running, "/moshez", "<h1>moshez</h1>")


@promise
def page_escapes_the_name(running: Running) -> None:
    """A name with markup in it is shown, not obeyed."""
    name = '<script>alert(\'"&")</script>'
    page = running.get("/" + quote(name, safe=""))
    expect("<script" not in page.body, "no <script>", page.body)
    expect(text(name) in quotes(page.body), text(name), page.body)


@promise
def page_shows_the_status(running: Running) -> None:
    """The page at /moshez is `<h1>moshez</h1><p>Happy and well</p>`, status 200, HTML."""
    page = expect_on_page(running, "/moshez", "<h1>moshez</h1><p>Happy and well</p>")
    expect(page.status == 200, "status 200", page.status)
    kind = page.headers["content-type"]
    expect(kind == "text/html; charset=utf-8", "text/html; charset=utf-8", kind)


@promise
def page_escapes_the_status(running: Running) -> None:
    """A status with markup and control characters in it is shown, not obeyed."""
    expect_on_page(running, "/guest", f"<p>{escape(GUEST_PRINTABLE)}</p>")


@promise_elsewhere
def page_of_a_failed_lookup_is_500(running: Running) -> None:
    """A lookup that fails, at once or later, is a page with status 500 that gives no reason."""
    for path in "/fail", "/raise":
        page = running.troubled().get(path)
        expect(page.status == 500, "status 500", f"{page.status}: {page.body}")
        expect("Internal error in server" in page.body, "Internal error in server", page.body)
        expect(SECRET not in page.body, "no reason", page.body)


@promise_elsewhere
def browser_may_leave_early(running: Running) -> None:
    """A browser that leaves before its page is done does no harm; one that stays gets it."""
    troubled = running.troubled()
    with troubled.call("web") as browser:
        browser.send(b"GET /slow-leaver HTTP/1.0\r\n\r\n")
        expect_in_log(troubled, "lookup: slow-leaver")
    expect_on_page(troubled, "/slow", "slow answer")
    for trace in "Unhandled", "after its connection was lost":
        expect(trace not in troubled.log(), "nothing unhandled", troubled.log())


@promise
def page_of_an_unknown_user_is_404(running: Running) -> None:
    """The page of a user nobody knows says `No such user`, with status 404."""
    page = expect_on_page(running, "/nobody-of-that-name", "<p>No such user</p>")
    expect(page.status == 404, "status 404", page.status)


@promise
def site_lists_the_users(running: Running) -> None:
    """The page at / lists the users as links."""
    page = expect_on_page(running, "/", '<a href="moshez">moshez</a>')
    expect(page.status == 200, "status 200", page.status)
    expect_on_page(running, "/", '<a href="guest">guest</a>')


@promise
def links_survive_odd_names(running: Running) -> None:
    """A name with slashes, spaces, quotes and question marks leads to its own page."""
    name = 'a/b c?d#"e"'
    page = running.get("/")
    link = f'<a href="{quote(name, safe="")}">{text(name)}</a>'
    expect(link in quotes(page.body), link, page.body)
    expect_on_page(running, "/" + quote(name, safe=""), "<p>All of one name</p>")


@promise_elsewhere
def failed_list_is_500(running: Running) -> None:
    """If the users cannot be listed, the page at / has status 500 and gives no reason."""
    page = running.troubled().get("/")
    expect(page.status == 500, "status 500", f"{page.status}: {page.body}")
    expect(SECRET not in page.body, "no reason", page.body)


@promise
def pages_are_whole(running: Running) -> None:
    """Each page is a whole HTML document; / is headed `Users`, and each user's page leads there."""
    page = expect_on_page(running, "/", "<h1>Users</h1>")
    expect(page.body.startswith("<!DOCTYPE html>"), "<!DOCTYPE html>", page.body)
    expect("<title>Users</title>" in page.body, "<title>Users</title>", page.body)
    page = expect_on_page(running, "/moshez", '<a href="./">Users</a>')
    expect("<title>moshez</title>" in page.body, "<title>moshez</title>", page.body)


@promise
def pages_allow_no_scripts(running: Running) -> None:
    """Every page forbids scripts, and guessing what kind of file it is."""
    for path in "/", "/moshez", "/nobody-of-that-name":
        headers = running.get(path).headers
        policy = headers["content-security-policy"] or ""
        expect("default-src 'none'" in policy, "default-src 'none'", headers)
        expect(headers["x-content-type-options"] == "nosniff", "nosniff", headers)


@promise_elsewhere
def pages_come_from_a_template(running: Running) -> None:
    """Another template makes other pages, and what fills it is still no markup."""
    file = running.directory / "page.html"
    file.write_text(OTHER_PAGE)
    other = running.variant("other template", FINGER_TEMPLATE=str(file))
    page = expect_on_page(other, "/moshez", "<i>moshez</i>")
    expect("<b>Happy and well</b>" in page.body, "<b>Happy and well</b>", page.body)
    page = expect_on_page(other, "/guest", "a &lt;b&gt;tag&lt;/b&gt;")
    expect(page.status == 200, "status 200", page.status)


OTHER_PAGE = """\
<html xmlns:t="http://twistedmatrix.com/ns/twisted.web.template/0.1" t:render="page">
<i><t:slot name="title"/></i><b t:render="user"><t:slot name="status"/></b>
</html>
"""


@promise
def https_shows_the_same_site(running: Running) -> None:
    """The pages are the same over HTTP and HTTPS, without any certificate being given."""
    for path in "/", "/moshez":
        plain, secure = running.get(path), running.get(path, "https")
        expect(plain.body == secure.body, plain.body, secure.body)


@promise
def old_tls_is_refused(running: Running) -> None:
    """TLS 1.2 is spoken, TLS 1.1 is refused."""
    context = ssl._create_unverified_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with running.call("https") as caller, context.wrap_socket(caller.socket) as secure:
        expect(secure.version() == "TLSv1.2", "TLSv1.2", secure.version())
    context = ssl._create_unverified_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with running.call("https") as caller:
        try:
            context.wrap_socket(caller.socket).close()
        except (ssl.SSLError, ConnectionError):
            return
    raise PromiseBroken("TLS 1.1 to be refused", "a connection")


@promise_elsewhere
def uses_the_certificate_it_is_given(running: Running) -> None:
    """FINGER_PEM names a file with a key and a certificate, and that certificate is shown."""
    pem = running.directory / "server.pem"
    running.run(["-c", MAKE_PEM, str(pem)])
    given = running.variant("own certificate", FINGER_PEM=str(pem))
    shown = ssl.get_server_certificate((HOST, given.port("https")))
    expect(shown.strip() in pem.read_text(), pem.read_text(), shown)


MAKE_PEM = """
import sys
from twisted.internet.ssl import KeyPair
with open(sys.argv[1], "wb") as file:
    file.write(KeyPair.generate().selfSignedCert(2, CN="given").dumpPEM())
"""
