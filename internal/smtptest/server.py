"""A mail server for tests, on aiosmtpd: it keeps what it takes, and misbehaves by address.

  busy@…     is put off once (451), as greylisting servers do
  nobody@…   is refused (550)
  slow@…     never gets an answer
  full@…     is taken, and its message is refused for now (452)
"""
import asyncio, json, os, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

host, port, folder, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
user, password = os.environ.get("SMTP_USER"), os.environ.get("SMTP_PASSWORD")
context = None
if mode in ("starttls", "implicit"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
seen = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0]
        if local == "nobody":
            return "550 5.1.1 there is no such mailbox"
        if local == "busy" and address not in seen:
            seen.add(address)
            return "451 4.7.1 greylisted, try again later"
        if local == "slow":
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(a.startswith("full@") for a in envelope.rcpt_tos):
            return "452 4.2.2 the mailbox is full"
        name = os.path.join(folder, "%06d" % len(os.listdir(folder)))
        with open(name + ".new", "w") as f:
            json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None, "data": envelope.content.decode("utf-8", "surrogateescape")}, f)
        os.rename(name + ".new", name + ".json")
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    ok = isinstance(data, LoginPassword) and data.login.decode() == user and data.password.decode() == password
    return AuthResult(success=ok)


def factory():
    return SMTP(Handler(), hostname="mail.test", enable_SMTPUTF8=True, authenticator=authenticate if user else None,
                auth_required=bool(user), auth_require_tls=mode != "none" and mode != "implicit",
                tls_context=context if mode == "starttls" else None, require_starttls=mode == "starttls")


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, host, port, ssl=context if mode == "implicit" else None)
    async with server:
        await server.serve_forever()

asyncio.run(main())
