// A SCIM 2.0 service provider in memory, for tests: SCIMMY behind a real HTTP server.
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";
import { randomUUID } from "node:crypto";

const passwords = new Map();
const tables = { User: new Map(), Group: new Map() };

// The values of a table, in the order in which they came, kept until it changes.
const orders = new WeakMap();
function order(all) {
	if (!orders.has(all)) orders.set(all, [...all.values()]);
	return orders.get(all);
}

function handlers(type, key) {
	const all = tables[type];
	return {
		ingress(resource, data) {
			const id = resource.id ?? randomUUID();
			if (resource.id && !all.has(id)) throw new SCIMMY.Types.Error(404, null, `${type} ${id} isn't there`);
			for (const [other, value] of all) {
				if (other !== id && String(value[key]).toLowerCase() === String(data[key]).toLowerCase()) {
					throw new SCIMMY.Types.Error(409, "uniqueness", `${key} is taken`);
				}
			}
			const value = JSON.parse(JSON.stringify(data));
			value.id = id;
			if (data.password) passwords.set(id, data.password); // which is never shown
			all.set(id, value);
			orders.delete(all);
			return value;
		},
		egress(resource) {
			if (resource.id) {
				if (!all.has(resource.id)) throw new SCIMMY.Types.Error(404, null, `${type} ${resource.id} isn't there`);
				return all.get(resource.id);
			}
			const { startIndex = 1, count = 20 } = resource.constraints ?? {};
			if (!resource.filter && resource.constraints) {
				// One page, so that a large table isn't made into resources for each. SCIMMY takes off what
				// stands before startIndex itself, unless there is less than that.
				resource.constraints.totalResults = all.size;
				return order(all).slice(startIndex > count ? startIndex - 1 : 0, startIndex - 1 + count);
			}
			const list = order(all);
			return resource.filter ? resource.filter.match(list) : list;
		},
		degress(resource) {
			if (!all.delete(resource.id)) throw new SCIMMY.Types.Error(404, null, `${type} ${resource.id} isn't there`);
			orders.delete(all);
			for (const group of tables.Group.values()) {
				if (group.members) group.members = group.members.filter((m) => m.value !== resource.id);
			}
		},
	};
}

SCIMMY.Config.set({ filter: { supported: true, maxResults: 100 } });
const user = handlers("User", "userName"), group = handlers("Group", "displayName");
SCIMMY.Resources.declare(SCIMMY.Resources.User).ingress(user.ingress).egress(user.egress).degress(user.degress);
SCIMMY.Resources.declare(SCIMMY.Resources.Group).ingress(group.ingress).egress(group.egress).degress(group.degress);

const app = express();
app.get("/ready", (_, res) => res.end("ready"));
app.get("/all", (_, res) => res.json({ users: [...tables.User.values()].map((u) => ({ ...u, password: passwords.get(u.id) })), groups: [...tables.Group.values()] }));
app.post("/seed", express.json({ limit: "64mb", type: "*/*" }), (req, res) => { // users, past the interface
	for (const u of req.body) tables.User.set(u.id, u);
	orders.delete(tables.User);
	res.end();
});
app.use("/scim/v2", new SCIMMYRouters({
	type: "bearer",
	handler(request) {
		if (request.header("Authorization") !== `Bearer ${process.env.SCIM_TOKEN}`) throw new Error("no or another token");
		return "tenure";
	},
}));
app.listen(Number(process.argv[2]), "127.0.0.1");
