"""The check of exercise 15."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running

PLAIN = "text/plain; charset=utf-8"


def check(running: Running) -> None:
    """/moshez?plain=1 is the bare status as plain text; without it all is as before."""
    page = running.get("/moshez?plain=1")
    kind = page.headers["content-type"]
    expect(kind == PLAIN, f"{PLAIN} at /moshez?plain=1", kind)
    expect(page.body.strip() == "Happy and well", "Happy and well", page.body)
    status = running.get("/nobody-of-that-name?plain=1").status
    expect(status == 404, "status 404 for an unknown user", status)
    guest = running.get("/guest?plain=1").body
    expect("<b>tag</b>" in guest and "\a" not in guest, "the tag as it is, and no bell", repr(guest))
    page = running.get("/moshez")
    expect("<h1>moshez</h1><p>Happy and well</p>" in page.body, "the page as before", page.body)
    kind = page.headers["content-type"]
    expect(kind == "text/html; charset=utf-8", "HTML at /moshez", kind)
