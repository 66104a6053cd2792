#!/usr/bin/env -S python3 -I -S
"""A Tenure connector to a club's register, an SQLite file: accounts and notebooks.

It reads one request from its standard input and answers it in lines of JSON. What is a
thing's owner mark it only keeps and gives back; see docs/exec-connector.md.
"""

import binascii
import json
import os
import sqlite3
import sys

SENTINEL = "tenure-sentinel"
STATES = {"active": "present", "suspended": "suspended", "closed": "revoked", "aside": "quarantined"}
WORDS = {state: word for word, state in STATES.items()}
FIELDS = {"account": ("email", "plan", "groups"), "notebook": ("title", "pages")}
OWN_TABLES = """
create table if not exists tenure_system (id text not null);
create table if not exists tenure_mark (type text, name text, mark text not null, primary key (type, name));
create table if not exists tenure_tally (resource text, run text, kind text, rows integer not null, primary key (resource, run, kind));
"""


class Refused(Exception):
    def __init__(self, code, message, retry=False, hint=None):
        super().__init__(message)
        self.answer = {"code": code, "message": message, "retry": retry}
        if hint:
            self.answer["hint"] = hint


def say(**line):
    json.dump(line, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def connect(path, write):
    uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        db = sqlite3.connect(uri + ("?mode=rw" if write else "?mode=ro"), uri=True, timeout=20, isolation_level=None)
        db.execute("begin immediate" if write else "begin")
        db.execute("select count(*) from account")
    except sqlite3.Error as e:
        raise Refused("unavailable", f"the register can't be opened: {e}", retry=True) from None
    db.row_factory = sqlite3.Row
    return db


def planted(db):
    return db.execute("select 1 from sqlite_master where name = 'tenure_system'").fetchone() is not None


def sighting(db):
    who = db.execute("select id from tenure_system").fetchone() if planted(db) else None
    kept = db.execute("select 1 from account where name = ?", (SENTINEL,)).fetchone()
    return {"fingerprint": "club " + (who["id"] if who else "without an identity"), "sentinel": bool(who and kept), "complete": True}


def mark_of(db, type, name):
    row = db.execute("select mark from tenure_mark where type = ? and name = ?", (type, name)).fetchone() if planted(db) else None
    return row["mark"] if row else ""


def thing(db, type, row):
    out = {"type": type, "name": row["name"], "state": STATES.get(row["state"], "present"), "mark": mark_of(db, type, row["name"])}
    out["attributes"] = {field: row[field] for field in FIELDS[type]}
    if row["state"] not in STATES:
        out["detail"] = f"its state is {row['state']}"
    if type == "account":
        out["attributes"]["groups"] = json.loads(row["groups"])
    else:
        n = db.execute("select count(*), coalesce(sum(length(body)), 0) from entry where notebook = ?", (row["name"],)).fetchone()
        out["metrics"] = {"entries": n[0], "bytes": n[1]}
    return out


def find(db, type, name):
    if name == SENTINEL:
        return None
    return db.execute(f"select * from {type} where name = ?", (name,)).fetchone()


def same(db, q):
    """Gives the resource's row if it bears the mark that Tenure saw, and refuses another's."""
    r = q["resource"]
    row = find(db, r["type"], r["name"])
    if row and mark_of(db, r["type"], r["name"]) != q.get("bears", ""):
        raise Refused("conflict", f"{r['type']} {r['name']} was made or marked by somebody else meanwhile")
    return row


def needed(db, q):
    row = same(db, q)
    if not row:
        raise Refused("not_found", f"{q['resource']['type']} {q['resource']['name']} isn't there")
    return row


def password(text, salt):
    import hashlib  # few calls need it, and it takes a while

    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt, 20000)


def keep_mark(db, r, mark):
    db.execute("insert or replace into tenure_mark values (?, ?, ?)", (r["type"], r["name"], mark))


# The calls. Each gives the result.


def plant(db, q):
    for statement in OWN_TABLES.split(";"):
        db.execute(statement)
    if not db.execute("select 1 from tenure_system").fetchone():
        db.execute("insert into tenure_system values (?)", (os.urandom(16).hex(),))
    db.execute("insert or ignore into account (name, state) values (?, 'closed')", (SENTINEL,))
    return {"fingerprint": sighting(db)["fingerprint"]}


def observe(db, q):
    for r in q.get("resources", []):
        row = find(db, r["type"], r["name"])
        say(observed=thing(db, r["type"], row) if row else {"type": r["type"], "name": r["name"], "found": False})
    return {"sighting": sighting(db)}


def discover(db, q):
    for type in sorted(q.get("types", [])):
        # SQLite compares texts by their bytes.
        for row in db.execute(f"select * from {type} where name <> ? order by name", (SENTINEL,)):
            say(observed=thing(db, type, row))
    return {"sighting": sighting(db)}


def ensure(db, q):
    r, row = q["resource"], same(db, q)
    values = {field: r["attributes"].get(field) for field in FIELDS[r["type"]]}
    if r["type"] == "account":
        values["groups"] = json.dumps(sorted(values["groups"] or []))
    if q.get("credential"):
        values["salt"] = os.urandom(16)
        values["password"] = password(q["credential"], values["salt"])
    if not row:
        db.execute(f"insert into {r['type']} (name) values (?)", (r["name"],))
    if q["state"] == "revoked":
        values["state"] = "active"
    db.execute(f"update {r['type']} set " + ", ".join(f"{k} = ?" for k in values) + " where name = ?", (*values.values(), r["name"]))
    keep_mark(db, r, q["mark"])
    return {"changed": True}


def delete(db, q):
    r, row = q["resource"], same(db, q)
    if r["type"] == "notebook" and row:
        db.execute("delete from entry where notebook = ?", (r["name"],))
    db.execute(f"delete from {r['type']} where name = ? and name <> ?", (r["name"], SENTINEL))
    db.execute("delete from tenure_mark where type = ? and name = ?", (r["type"], r["name"]))
    db.execute("delete from tenure_tally where resource = ?", (r["id"],))
    return {"changed": bool(row)}


def put(state):
    def call(db, q):
        needed(db, q)
        db.execute(f"update {q['resource']['type']} set state = ? where name = ?", (state, q["resource"]["name"]))
        return {"changed": True}

    return call


def revoke(db, q):
    result = put("closed")(db, q)
    db.execute("update account set password = null, salt = null where name = ?", (q["resource"]["name"],))
    return result


def adopt(db, q):
    needed(db, q)
    keep_mark(db, q["resource"], q["mark"])
    return {"changed": True}


def export(db, q):
    needed(db, q)
    n = 0
    for row in db.execute("select id, class, body from entry where notebook = ? order by id", (q["resource"]["name"],)):
        text = json.dumps({"id": row["id"], "class": row["class"], "body": row["body"]}) + "\n"
        say(data=binascii.b2a_base64(text.encode(), newline=False).decode())
        n += 1
    if not n:
        say(data=binascii.b2a_base64(b"{}\n", newline=False).decode())
    return {"changed": False, "counts": {"entries": n}}


def due(db, q):
    """The entries that an erasure takes, as a condition."""
    r, e = q["resource"], q["erase"]
    classes = [e["class"]] if e.get("class") else r.get("classes", [])
    return f"notebook = ? and class in ({', '.join('?' * len(classes))})", (r["name"], *classes)


def erase(db, q):
    r, e = q["resource"], q["erase"]
    if not same(db, q) and not e.get("gone"):
        return {"counts": {}, "total": {}, "done": True}
    where, values = due(db, q)
    db.execute(f"delete from entry where id in (select id from entry where {where} limit ?)", (*values, e["limit"]))
    taken = db.execute("select changes()").fetchone()[0]
    left = db.execute(f"select count(*) from entry where {where}", values).fetchone()[0]
    if left and not taken:
        triggers = [t["name"] for t in db.execute("select name from sqlite_master where type = 'trigger' and tbl_name = 'entry' order by name")]
        raise Refused("blocked", f"{left} entries of notebook {r['name']} stay: {', '.join(triggers) or 'something'} keeps them")
    if taken:
        db.execute("insert into tenure_tally values (?, ?, 'entries', ?) on conflict do update set rows = rows + excluded.rows", (r["id"], e["run"], taken))
    return {"counts": {"entries": taken}, "total": total(db, r, e["run"]), "done": not left}


def total(db, r, run):
    return {t["kind"]: t["rows"] for t in db.execute("select kind, rows from tenure_tally where resource = ? and run = ?", (r["id"], run))}


def tally(db, q):
    return {"total": total(db, q["resource"], q["run"])}


def data_map(db, q):
    r = q["resource"]
    counts = {c: 0 for c in r.get("classes", [])}
    for row in db.execute("select class, count(*) from entry where notebook = ? group by class", (r["name"],)):
        counts[row[0] or ""] = row[1]
    for c in sorted(counts):
        say(place={"name": f"entry: {c or 'of no class'}", "kind": "table", "class": c, "via": f"entry.notebook is {r['name']}", "rows": counts[c]})
    return {"sighting": sighting(db)}


def probe(db, q):
    row = find(db, q["resource"]["type"], q["resource"]["name"])
    if not row:
        return {"passed": False, "detail": "there is no such account"}
    if row["state"] != "active" or not row["password"]:
        return {"passed": False, "detail": f"nobody can sign in: the account is {row['state']}"}
    well = password(q.get("credential", ""), row["salt"]) == row["password"]
    return {"passed": well, "detail": "its password is accepted" if well else "its password is refused"}


READS = {"observe": observe, "discover": discover, "export": export, "tally": tally, "map": data_map, "probe": probe}
WRITES = {
    "plant": plant, "ensure": ensure, "delete": delete, "erase": erase, "adopt": adopt, "revoke": revoke,
    "suspend": put("suspended"), "resume": put("active"), "quarantine": put("aside"), "unquarantine": put("active"),
}


def main():
    q = json.load(sys.stdin)
    try:
        write = q["call"] in WRITES
        db = connect(q["options"]["register"], write)
        result = (WRITES if write else READS)[q["call"]](db, q)
        db.execute("commit")
        say(result=result)
    except Refused as e:
        say(error=e.answer)
    except sqlite3.OperationalError as e:
        say(error={"code": "unavailable", "message": f"the register: {e}", "retry": True})


main()
