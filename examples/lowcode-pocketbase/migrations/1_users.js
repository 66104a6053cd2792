/// Users can be suspended, and belong to a tenant's environment.
migrate((app) => {
  const users = app.findCollectionByNameOrId("users")
  users.fields.add(new BoolField({ name: "suspended" }))
  users.fields.add(new TextField({ name: "tenant" }))
  users.authRule = "suspended = false"
  app.save(users)
}, (app) => {
  const users = app.findCollectionByNameOrId("users")
  users.authRule = ""
  users.fields.removeByName("suspended")
  users.fields.removeByName("tenant")
  app.save(users)
})
